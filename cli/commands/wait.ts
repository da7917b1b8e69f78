import type { Command } from 'commander';
import type { Client } from '../../client/connect.ts';
import type { Exit } from '../../client/process-status.ts';
import { isNotFound } from '../../common/errdefs.ts';
import { each } from '../each.ts';
import { withClient } from '../session.ts';
import { taskStatus } from '../task-status.ts';

export const addWait = (program: Command): void => {
  const command = program
    .command('wait')
    .description('wait until containers have ended, and print their exit statuses')
    .argument('<id...>', 'the containers')
    .addHelpText('after', '\nIt waits over restarts of the daemon too. 255: nobody saw how it ended.')
    .action(async (ids: readonly string[]) => {
      process.exitCode = await withClient(command, async (client) => {
        // All at once: one that is removed when it ends must not be missed while we wait for another.
        const exits = new Map(ids.map((id) => [id, exitOf(client, id)]));
        for (const exit of exits.values()) exit.catch(() => undefined); // told of in its turn
        return each(client, ids, async (id) => String((await exits.get(id))?.status));
      });
    });
};

const exitOf = async (client: Client, id: string): Promise<Exit> => {
  try {
    return await client.tasks.of(id).wait();
  } catch (error) {
    if (isNotFound(error)) await taskStatus(client, id); // says it in better words
    throw error;
  }
};
