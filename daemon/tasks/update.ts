import type { UpdateTaskRequest } from '../../proto/gen/containerd/services/tasks/v1/tasks.ts';
import { callDeadlines } from '../shims/deadlines.ts';
import type { TaskKey } from '../store/tables/tasks.ts';
import { keyText } from './keys.ts';
import type { TaskParts } from './parts.ts';
import { requireTask, shimOf } from './registry.ts';

/** Changes a task's resource limits; `resources` holds the JSON of an OCI LinuxResources. */
export const updateTask = (
  parts: TaskParts,
  key: TaskKey,
  { resources, annotations }: UpdateTaskRequest,
  signal: AbortSignal,
): Promise<void> => {
  requireTask(parts, key);
  return parts.turns.run(keyText(key), signal, async () => {
    const shim = shimOf(parts, requireTask(parts, key));
    await shim.call('update', { id: key.id, resources, annotations }, { timeoutMs: callDeadlines.updateMs, signal });
  });
};
