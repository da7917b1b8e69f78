import { nowNanos } from '../../native/index.ts';
import type { TaskKey } from '../store/tables/tasks.ts';
import { callDeadlines } from '../shims/deadlines.ts';
import { keyText } from './keys.ts';
import type { TaskParts } from './parts.ts';
import { requireTask, shimOf } from './registry.ts';
import { nextTaskStatus } from './status.ts';

/** Freezes all processes of a task. */
export const pauseTask = (parts: TaskParts, key: TaskKey, signal: AbortSignal): Promise<void> =>
  change(parts, key, 'pause', signal);

export const resumeTask = (parts: TaskParts, key: TaskKey, signal: AbortSignal): Promise<void> =>
  change(parts, key, 'resume', signal);

const change = (parts: TaskParts, key: TaskKey, verb: 'pause' | 'resume', signal: AbortSignal): Promise<void> => {
  requireTask(parts, key);
  return parts.turns.run(keyText(key), signal, async () => {
    const shim = shimOf(parts, requireTask(parts, key));
    const timeoutMs = verb === 'pause' ? callDeadlines.pauseMs : callDeadlines.resumeMs;
    await shim.call(verb, { id: key.id }, { timeoutMs, signal });
    parts.db.transaction(() => {
      const row = parts.tasks.get(key);
      if (row !== undefined)
        parts.tasks.update(row, { status: nextTaskStatus(row.status, verb), changedAt: nowNanos() });
    });
  });
};
