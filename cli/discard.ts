import type { Process } from '../client/process.ts';
import type { ProcessState } from '../client/process-status.ts';
import { Task } from '../client/task.ts';
import { isNotFound } from '../common/errdefs.ts';
import { alive } from './alive.ts';
import { Failure } from './failure.ts';

/** How long a process may take to end after SIGKILL, milliseconds. What takes longer hangs in the kernel. */
const END_MS_MAX = 10_000;
const SIGKILL = 9;

/** Ends a process, if it runs, and has the daemon forget it. One that is unknown is no error. */
export const discard = async (process: Process): Promise<void> => {
  try {
    const { state } = await process.status();
    if (alive.has(state)) await endNow(process, state);
    await process.delete();
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
};

/** SIGKILL to all of it, and its end. Fails with notFound when it was deleted meanwhile. */
export const endNow = async (process: Process, state: ProcessState): Promise<void> => {
  try {
    await process.kill(SIGKILL, { all: process instanceof Task });
  } catch (error) {
    if (!isNotFound(error)) throw error; // it ended meanwhile
  }
  // A frozen process dies when it thaws; some runtimes see to that.
  if (process instanceof Task && state !== 'running') await process.resume().catch(() => undefined);
  const late = AbortSignal.timeout(END_MS_MAX);
  try {
    await process.wait({}, late);
  } catch (error) {
    if (!late.aborted) throw error;
    const { containerId } = process.name;
    throw new Failure(`${containerId} did not end within ${END_MS_MAX / 1000} s of SIGKILL`, { cause: error });
  }
};
