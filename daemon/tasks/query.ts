import { timestampFromNanos } from '../../common/timestamp.ts';
import { type Process, type ProcessInfo, Status } from '../../proto/gen/containerd/v1/types/task_types.ts';
import { callDeadlines } from '../shims/deadlines.ts';
import type { ExecRow } from '../store/tables/execs.ts';
import type { TaskKey, TaskRow } from '../store/tables/tasks.ts';
import type { ProcessKey } from './keys.ts';
import type { TaskParts } from './parts.ts';
import { requireProcess, requireTask, shimOf } from './registry.ts';

/** How long a query waits, right after our start, for a shim to tell what it has not told yet, ms. */
const CATCH_UP_MS = 1_000;

/** A process, from our rows: a shim's events keep them true, so none has to be woken for it. */
export const getProcess = async (parts: TaskParts, key: ProcessKey): Promise<Process> => {
  await caughtUp(parts.catchingUp.get(requireTask(parts, key).shim));
  const task = requireTask(parts, key);
  const process = toMessage(requireProcess(parts, key));
  // What is frozen is the container, and all that is in it.
  return key.execId !== '' && task.status === 'paused' ? { ...process, status: Status.PAUSED } : process;
};

/** The tasks of a namespace, those whose container's row is gone too. */
export const listTasks = async (
  parts: Pick<TaskParts, 'tasks' | 'catchingUp'>,
  namespace: string,
): Promise<Process[]> => {
  await caughtUp(Promise.all(parts.catchingUp.values()));
  return parts.tasks
    .list(namespace)
    .filter(({ status }) => status !== 'creating')
    .map(toMessage);
};

const caughtUp = async (loads: Promise<unknown> | undefined): Promise<void> => {
  if (loads === undefined) return;
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, CATCH_UP_MS);
  await Promise.race([loads, late]);
  clearTimeout(timer);
};

/** Process ids in our own pid namespace, of all processes in the container. */
export const listPids = async (parts: TaskParts, key: TaskKey, signal: AbortSignal): Promise<ProcessInfo[]> => {
  const shim = shimOf(parts, requireTask(parts, key));
  const { processes } = await shim.call('pids', { id: key.id }, { timeoutMs: callDeadlines.pidsMs, signal });
  return processes;
};

const statuses = {
  creating: Status.UNKNOWN,
  adding: Status.UNKNOWN,
  created: Status.CREATED,
  running: Status.RUNNING,
  paused: Status.PAUSED,
  stopped: Status.STOPPED,
} as const;

const toMessage = (row: TaskRow | ExecRow): Process => ({
  containerId: '', // containerd leaves it out
  id: 'execId' in row ? row.execId : row.id,
  pid: row.pid,
  status: statuses[row.status],
  ...row.stdio,
  exitStatus: row.exit?.status ?? 0,
  exitedAt: row.exit === undefined ? undefined : timestampFromNanos(row.exit.exitedAt),
});
