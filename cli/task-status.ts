import type { Client } from '../client/connect.ts';
import type { ProcessState, ProcessStatus } from '../client/process-status.ts';
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

/** What to say of a container that had to run. */
export const notRunning = (id: string, state: ProcessState): Failure => {
  switch (state) {
    case 'stopped':
      return new Failure(
        `container "${id}" has ended: "holdfast ps -a" shows how, "holdfast logs ${id}" what it wrote`,
      );
    case 'paused':
    case 'pausing':
      return new Failure(`container "${id}" is paused: "holdfast unpause ${id}" lets it go on`);
    case 'created':
      return new Failure(`container "${id}" has not been started`);
    case 'running':
    case 'unknown':
      return new Failure(`container "${id}" is ${state}`);
  }
};
