import { rm } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Client } from '../../client/connect.ts';
import { isNotFound } from '../../common/errdefs.ts';
import { alive } from '../alive.ts';
import { discard } from '../discard.ts';
import { each } from '../each.ts';
import { Failure } from '../failure.ts';
import { isOwnLogFile, LOG_LABEL } from '../log-file.ts';
import { clientOf } from '../session.ts';

export const addRm = (program: Command): void => {
  const command = program
    .command('rm')
    .description('remove containers and what was kept of their output')
    .argument('<id...>', 'the containers')
    .option('-f, --force', 'end those that run, with SIGKILL')
    .action(async (ids: readonly string[], { force = false }: { readonly force?: boolean }) => {
      await using client = clientOf(command);
      process.exitCode = await each(ids, (id) => remove(client, id, force));
    });
};

const remove = async (client: Client, id: string, force: boolean): Promise<void> => {
  const container = client.containers.of(id);
  const { labels } = await container.info();
  if (force) await discard(container.task);
  else await deleteEnded(client, id);
  await container.delete();
  const log = labels.get(LOG_LABEL);
  if (log !== undefined && isOwnLogFile(log, client, id)) await rm(log, { force: true });
};

const deleteEnded = async (client: Client, id: string): Promise<void> => {
  const task = client.tasks.of(id);
  try {
    const { state } = await task.status();
    if (alive.has(state)) {
      throw new Failure(`container "${id}" is running: "holdfast kill ${id}" first, or "holdfast rm -f ${id}"`);
    }
    await task.delete();
  } catch (error) {
    if (!isNotFound(error)) throw error; // a container need not have a task
  }
};
