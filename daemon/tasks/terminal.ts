import { callDeadlines } from '../shims/deadlines.ts';
import type { ProcessKey } from './keys.ts';
import type { TaskParts } from './parts.ts';
import { requireProcess, requireTask, shimOf } from './registry.ts';

/** Tells a process's terminal its size, in characters. Without a terminal nothing happens, as in containerd. */
export const resizePty = async (
  parts: TaskParts,
  key: ProcessKey,
  size: { readonly width: number; readonly height: number },
  signal: AbortSignal,
): Promise<void> => {
  const task = requireTask(parts, key);
  requireProcess(parts, key);
  const request = { id: key.id, execId: key.execId, ...size };
  await shimOf(parts, task).call('resizePty', request, { timeoutMs: callDeadlines.resizePtyMs, signal });
};

/** Ends a process's input, once those who write to it have closed theirs. */
export const closeStdin = async (parts: TaskParts, key: ProcessKey, signal: AbortSignal): Promise<void> => {
  const task = requireTask(parts, key);
  const row = requireProcess(parts, key);
  // Before anybody does it: a daemon that comes after us must not hold the input open.
  parts.db.transaction(() => {
    if ('execId' in row) parts.execs.update(row, { stdinClosed: true });
    else parts.tasks.update(row, { stdinClosed: true });
  });
  parts.stdio.closeInput(key);
  const request = { id: key.id, execId: key.execId, stdin: true };
  await shimOf(parts, task).call('closeIO', request, { timeoutMs: callDeadlines.closeIoMs, signal });
};
