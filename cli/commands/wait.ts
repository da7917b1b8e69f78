import type { Command } from 'commander';
import type { Client } from '../../client/connect.ts';
import type { Exit } from '../../client/process-status.ts';
import { isNotFound } from '../../common/errdefs.ts';
import { formatNanos } from '../../common/timestamp.ts';
import { each } from '../each.ts';
import { print } from '../print.ts';
import { json } from '../render/json.ts';
import { withClient } from '../session.ts';
import { taskStatus } from '../task-status.ts';

export const addWait = (program: Command): void => {
  const command = program
    .command('wait')
    .description('wait until containers have ended, and print their exit statuses')
    .argument('<id...>', 'the containers')
    .option('--json', 'a JSON array, when all have ended')
    .addHelpText('after', '\nIt waits over restarts of the daemon too. 255: nobody saw how it ended.')
    .action(async (ids: readonly string[], options: { readonly json?: true }) => {
      process.exitCode = await withClient(command, (client) => wait(client, ids, options));
    });
};

/** All at once: one that is removed when it ends must not be missed while we wait for another. */
const wait = async (client: Client, ids: readonly string[], options: { readonly json?: true }): Promise<number> => {
  const exits = new Map(ids.map((id) => [id, exitOf(client, id)]));
  if (options.json !== true) {
    for (const exit of exits.values()) exit.catch(() => undefined); // told of in its turn
    return each(client, ids, async (id) => String((await exits.get(id))?.status));
  }
  const ended = await Promise.all([...exits].map(async ([id, exit]) => document(id, await exit)));
  await print(json(ended, { indent: 2 }));
  return 0;
};

const exitOf = async (client: Client, id: string): Promise<Exit> => {
  try {
    return await client.tasks.of(id).wait();
  } catch (error) {
    if (isNotFound(error)) await taskStatus(client, id); // says it in better words
    throw error;
  }
};

const document = (id: string, { status, atNanos }: Exit): unknown => ({
  id,
  exitStatus: status,
  exitedAt: atNanos === 0n ? undefined : formatNanos(atNanos),
});
