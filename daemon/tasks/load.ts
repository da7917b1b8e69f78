import { isNotFound, messageOf } from '../../common/errdefs.ts';
import { nanosFromTimestamp } from '../../common/timestamp.ts';
import { nowNanos } from '../../native/index.ts';
import { Status } from '../../proto/gen/containerd/v1/types/task_types.ts';
import type { StateResponse } from '../../proto/gen/containerd/task/v2/task_v2.ts';
import { readExitRecord } from '../shims/exit-records.ts';
import { hasUnsentEvents } from '../shims/outbox.ts';
import type { Shim } from '../shims/shim.ts';
import type { ExecRow } from '../store/tables/execs.ts';
import type { TaskRow, TaskStatus } from '../store/tables/tasks.ts';
import { recordExit } from './intake.ts';
import { initOf, type ProcessKey } from './keys.ts';
import { recoverShim } from './lost.ts';
import type { TaskParts } from './parts.ts';
import { watchForeign } from './watch-foreign.ts';
import { keepHandout } from './keepsakes.ts';

/**
 * Makes a shim of before our start useful again. Our own is not called for it, unless it has something to tell us: that
 * its process lives is enough to know, and it sleeps on. One that has died is adopted, or, if it is not ours, cleaned up
 * after.
 */
export const loadShim = async (parts: TaskParts, shim: Shim): Promise<void> => {
  if (!shim.own) return loadForeign(parts, shim);
  try {
    if (shim.row.pid === 0) await findUnwritten(parts, shim);
    else shim.serves(shim.row);
    parts.background('keeping what a shim hands out', keepHandout(parts, shim));
  } catch (error) {
    if (!isNotFound(error)) throw error;
    await recoverShim(parts, shim);
  }
  if (!hasUnsentEvents(parts.config.state, shim.key)) return;
  for (const { execs, ...task } of processesOf(parts, shim)) {
    for (const exec of execs) await refresh(parts, shim, exec);
    await refresh(parts, shim, initOf(task));
  }
};

/**
 * We were killed between telling a shim whom to serve and writing down who it is. It may live, or be about to; if it is
 * neither, a new one takes its place, so that in any case there is one that can be told to end.
 */
const findUnwritten = async (parts: TaskParts, shim: Shim): Promise<void> => {
  try {
    await parts.shims.reconnect(shim);
  } catch {
    await parts.shims.adopt(shim);
  }
};

/** The tasks of a shim that clients see, with their added processes. */
const processesOf = (parts: TaskParts, shim: Shim) =>
  parts.tasks
    .ofShim(shim.key)
    .filter(({ status }) => status !== 'creating')
    .map((task) => ({ ...task, execs: parts.execs.ofTask(task) }));

/** Takes over what the records of ends say that nobody has told us yet. Their events come from the shim, in order. */
export const readExitRecords = (parts: TaskParts, task: TaskRow): void => {
  const take = (row: TaskRow | ExecRow, execId: string): void => {
    const record = row.exit === undefined ? readExitRecord(task.bundle, execId) : undefined;
    if (record !== undefined && record.pid === row.pid) recordExit(parts, row, record, false);
  };
  for (const exec of parts.execs.ofTask(task)) take(exec, exec.execId);
  take(task, '');
};

const loadForeign = async (parts: TaskParts, shim: Shim): Promise<void> => {
  try {
    await parts.shims.reconnect(shim);
  } catch (error) {
    parts.log.warn({ shim: shim.key, err: messageOf(error) }, 'shim cannot be reached');
    return recoverShim(parts, shim);
  }
  for (const { execs, ...task } of processesOf(parts, shim)) {
    for (const key of [...execs, initOf(task)]) {
      await refresh(parts, shim, key);
      watchForeign(parts, shim, key);
    }
  }
};

/** What became of a process while we were away; its event may have been lost. */
const refresh = async (parts: TaskParts, shim: Shim, key: ProcessKey): Promise<void> => {
  const { id, execId } = key;
  try {
    const state = await shim.call('state', { id, execId }, { timeoutMs: parts.config.timeouts.taskStateMs });
    parts.db.transaction(() => writeState(parts, key, state));
  } catch (error) {
    parts.log.warn({ ...key, err: messageOf(error) }, 'state of a process is not known');
  }
};

const writeState = (parts: TaskParts, key: ProcessKey, state: StateResponse): void => {
  const row = key.execId === '' ? parts.tasks.get(key) : parts.execs.get(key);
  if (row === undefined || row.exit !== undefined) return;
  const { pid } = state;
  const status = taskStatuses.get(state.status);
  if (status !== undefined) {
    if ('execId' in row) parts.execs.update(row, { pid, status: status === 'created' ? status : 'running' });
    else parts.tasks.update(row, { pid, status, changedAt: nowNanos() });
  } else if (state.status === Status.STOPPED) {
    const exit = { status: state.exitStatus, exitedAt: nanosFromTimestamp(state.exitedAt) || nowNanos() };
    recordExit(parts, { ...row, pid }, exit, false);
  }
};

/** How a shim's words for a state read in our rows. */
export const taskStatuses: ReadonlyMap<Status, Exclude<TaskStatus, 'creating' | 'stopped'>> = new Map([
  [Status.CREATED, 'created'],
  [Status.RUNNING, 'running'],
  [Status.PAUSING, 'running'],
  [Status.PAUSED, 'paused'],
] as const);
