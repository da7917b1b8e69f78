import type { Client } from '../client/connect.ts';
import type { ProcessStatus } from '../client/process-status.ts';
import { isNotFound } from '../common/errdefs.ts';
import { Failure } from './failure.ts';

/** The status of a container's task. Fails in people's words when it has none, and with notFound without a container. */
export const taskStatus = async (client: Client, id: string): Promise<ProcessStatus> => {
  try {
    return await client.tasks.of(id).status();
  } catch (error) {
    if (!isNotFound(error)) throw error;
    await client.containers.of(id).info();
    throw new Failure(`container "${id}" is not running: it has no task`, { cause: error });
  }
};
