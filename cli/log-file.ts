import { join } from 'node:path';
import type { Client } from '../client/connect.ts';
import { filePath } from '../client/io/stdio.ts';
import { isNotFound } from '../common/errdefs.ts';
import { daemonRoot } from './daemon-root.ts';

/** Label of a container whose output is kept: the file's path. */
export const LOG_LABEL = 'holdfast/log';

/** Below it, by their UUID, for daemons that do not say where their root is. */
const FOREIGN = '/var/lib/holdfast/foreign';

/**
 * Where the output of a detached container goes: a file below the daemon's root. The container itself has it open and
 * appends to it, so neither the CLI nor the daemon nor the shim need be there.
 */
export const logFileFor = async (client: Client, id: string): Promise<string> => {
  const root = (await daemonRoot(client)) ?? join(FOREIGN, (await client.server.identity()).uuid);
  return join(root, ending(client, id));
};

/** The file that has a container's output; undefined if it went elsewhere. */
export const logFileOf = async (client: Client, id: string): Promise<string | undefined> => {
  const container = client.containers.of(id);
  const labelled = (await container.info()).labels.get(LOG_LABEL);
  if (labelled !== undefined) return labelled;
  try {
    return filePath((await container.task.status()).stdio.stdout);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
};

/** Whether it is a file that `run -d` made for this container, so that it may go with it. */
export const isOwnLogFile = (path: string, client: Client, id: string): boolean =>
  path.endsWith(`/${ending(client, id)}`);

const ending = ({ namespace }: Client, id: string): string => join('logs', namespace, `${id}.log`);
