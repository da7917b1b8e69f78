import { rm } from 'node:fs/promises';
import type { Client } from '../client/connect.ts';
import { removeFifos } from '../client/io/fifo-directory.ts';
import { nullStdio, type StdioPaths } from '../client/io/stdio.ts';
import { isNotFound } from '../common/errdefs.ts';
import { alive } from './alive.ts';
import { discard } from './discard.ts';
import { Failure } from './failure.ts';
import { isOwnLogFile, LOG_LABEL } from './log-file.ts';

/** Label of a container that is to be removed when it has ended, by whoever is attached then. */
export const REMOVE_LABEL = 'holdfast/rm';

/** Removes a container, its task and what was kept of its output. One that runs is an error, or with `force` ended. */
export const remove = async (client: Client, id: string, force: boolean): Promise<void> => {
  const container = client.containers.of(id);
  const { labels } = await container.info();
  const stdio = await stdioOf(client, id);
  if (force) await discard(container.task);
  else await deleteEnded(client, id);
  await container.delete();
  removeFifos(stdio);
  const log = labels.get(LOG_LABEL);
  if (log !== undefined && isOwnLogFile(log, client, id)) await rm(log, { force: true });
};

const stdioOf = async (client: Client, id: string): Promise<StdioPaths> => {
  try {
    return (await client.tasks.of(id).status()).stdio;
  } catch (error) {
    if (isNotFound(error)) return nullStdio; // a container need not have a task
    throw error;
  }
};

const deleteEnded = async (client: Client, id: string): Promise<void> => {
  const task = client.tasks.of(id);
  try {
    const { state } = await task.status();
    if (alive.has(state)) {
      throw new Failure(`container "${id}" is running: "holdfast stop ${id}" first, or "holdfast rm -f ${id}"`);
    }
    await task.delete();
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
};
