import { notFound } from '../../common/errdefs.ts';
import { callDeadlines } from '../shims/deadlines.ts';
import type { ProcessKey } from './keys.ts';
import type { TaskParts } from './parts.ts';
import { requireProcess, requireTask, shimOf } from './registry.ts';

export interface Signal {
  readonly signal: number;
  /** Every process of the container; of an added process only itself is meant. */
  readonly all: boolean;
}

/** Sends a signal. Takes no turn: a container whose start hangs can still be killed. NotFound if it has ended. */
export const killProcess = async (
  parts: TaskParts,
  key: ProcessKey,
  { signal, all }: Signal,
  caller: AbortSignal,
): Promise<void> => {
  const task = requireTask(parts, key);
  const process = requireProcess(parts, key);
  const { id, execId } = key;
  const request = { id, execId, signal, all: execId === '' && all };
  // Its shim may be gone with it; the words are those that the shim would use.
  if (process.exit !== undefined && parts.shims.get(task.shim) === undefined)
    throw notFound('process already finished');
  await shimOf(parts, task).call('kill', request, { timeoutMs: callDeadlines.killMs, signal: caller });
};
