import { about, isNotFound, messageOf } from '../../common/errdefs.ts';
import { nanosFromTimestamp } from '../../common/timestamp.ts';
import { nowNanos } from '../../native/index.ts';
import type { DeleteResponse } from '../../proto/gen/containerd/task/v2/task_v2.ts';
import { removeBundle } from '../shims/bundle.ts';
import { callDeadlines } from '../shims/deadlines.ts';
import { deleteByCommand } from '../shims/shim-command.ts';
import { commandOf } from '../shims/spawn.ts';
import type { TaskKey, TaskRow } from '../store/tables/tasks.ts';
import type { Deleted } from '../store/tables/tombstones.ts';
import { announceExit, appendDeleted } from './announce.ts';
import { initOf, keyText, type ProcessKey } from './keys.ts';
import type { TaskParts } from './parts.ts';
import { noTask, requireContainer, requireExec, requireTask, shimOf, visibleTask } from './registry.ts';

/** Exit status when nobody knows any better. */
const UNKNOWN_STATUS = 255;
/** How long an answer may take from us to its client, ms. */
const TOMBSTONE_MS = 1_000;
/** How long the answer to a caller that went away is kept for it to ask again, ms. */
const UNHEARD_MS = 60_000;

/**
 * Removes a task that has ended, or was never started, and gives how it ended. Once begun it goes to its end, whatever
 * becomes of the caller; a caller whose answer was lost gets the same one when it asks again.
 */
export const deleteTask = async (parts: TaskParts, key: TaskKey, signal: AbortSignal): Promise<Deleted> => {
  requireContainer(parts, key);
  return parts.turns.run(keyText(key), signal, async () => {
    const row = visibleTask(parts, key);
    const deleted = row === undefined ? revive(parts, initOf(key)) : await recordedDelete(parts, row);
    if (deleted === undefined) throw noTask(key.id);
    settleTombstone(parts, initOf(key), signal);
    return deleted;
  });
};

const recordedDelete = (parts: TaskParts, row: TaskRow): Promise<Deleted> => {
  parts.db.transaction(() => parts.intents.record({ ...row, verb: 'delete', begunAt: nowNanos() }));
  return finishDelete(parts, row);
};

/** Takes a recorded delete from wherever a crash has left it to its end. A shim that refuses keeps its task. */
export const finishDelete = async (parts: TaskParts, row: TaskRow): Promise<Deleted> => {
  let deleted: Deleted;
  try {
    deleted = await deleteInShim(parts, row);
  } catch (error) {
    parts.db.transaction(() => parts.intents.clear(row));
    throw about('failed to delete task', error);
  }
  parts.shimLogs.close(row.bundle);
  await removeBundle(parts.config, row.bundle).catch((error: unknown) => {
    // The task is gone all the same; the next start of the daemon tries again.
    parts.log.error({ namespace: row.namespace, container: row.id, err: error }, 'bundle cannot be removed now');
  });
  forgetTask(parts, row, deleted);
  parts.background('release of a shim', parts.shims.release(row.shim));
  return deleted;
};

/** Nothing is left of a task but its rows. */
export const forgetTask = (parts: TaskParts, row: TaskRow, deleted: Deleted): void => {
  const execs = parts.execs.ofTask(row);
  parts.db.transaction(() => {
    parts.tasks.remove(row);
    parts.intents.clear(row);
    parts.tombstones.put(initOf(row), deleted);
  });
  parts.stdio.release(initOf(row));
  parts.exits.settle(initOf(row), deleted);
  for (const exec of execs) {
    parts.stdio.release(exec);
    // One that never ran has no status of its own, and must not get the container's.
    parts.exits.settle(exec, exec.exit ?? { status: UNKNOWN_STATUS, exitedAt: deleted.exitedAt });
  }
};

/** Removes a process that was added, and gives how it ended. */
export const deleteExec = async (parts: TaskParts, key: ProcessKey, signal: AbortSignal): Promise<Deleted> => {
  requireTask(parts, key);
  return parts.turns.run(keyText(key), signal, async () => {
    const task = requireTask(parts, key);
    const answered = parts.execs.get(key) === undefined ? revive(parts, key) : undefined;
    if (answered !== undefined) {
      settleTombstone(parts, key, signal);
      return answered;
    }
    const exec = requireExec(parts, key);
    const request = { id: key.id, execId: key.execId };
    const deleted = deletedOf(await shimOf(parts, task).call('delete', request, { timeoutMs: callDeadlines.deleteMs }));
    if (exec.exit !== undefined && parts.shims.get(task.shim)?.own === false) await announceExit(parts, key, exec.exit);
    parts.db.transaction(() => {
      parts.execs.remove(key);
      parts.tombstones.put(key, deleted);
    });
    parts.stdio.release(key);
    parts.exits.settle(key, deleted);
    settleTombstone(parts, key, signal);
    return deleted;
  });
};

const deleteInShim = async (parts: TaskParts, row: TaskRow): Promise<Deleted> => {
  const shim = parts.shims.get(row.shim);
  if (shim === undefined) return deleteWithoutShim(parts, row);
  let deleted: Deleted;
  try {
    const request = { id: row.id, execId: '' };
    deleted = deletedOf(await shim.call('delete', request, { timeoutMs: callDeadlines.deleteMs }));
  } catch (error) {
    if (!isNotFound(error)) throw error;
    // The shim has lost it, or has deleted it for a daemon before us and forgotten the answer.
    return deleteWithoutShim(parts, row);
  }
  // Our own shims send the exit before they forget it; of others nothing more may come.
  if (!shim.own) await announceExit(parts, initOf(row), deleted);
  return deleted;
};

/** What a shim would do, by its `delete` command, and the events that it would send. */
const deleteWithoutShim = async (parts: TaskParts, row: TaskRow): Promise<Deleted> => {
  const command = commandOf(parts.shims.parts, parts.shimTable.get(row.shim)?.binary ?? '');
  const response = await deleteByCommand(command, row, callDeadlines.deleteMs).catch((error: unknown) => {
    parts.log.warn({ namespace: row.namespace, container: row.id, err: messageOf(error) }, 'delete command failed');
    return undefined;
  });
  const told =
    response === undefined ? { pid: row.pid, status: UNKNOWN_STATUS, exitedAt: nowNanos() } : deletedOf(response);
  const deleted = { pid: row.pid || told.pid, ...(parts.tasks.get(row)?.exit ?? told) };
  await announceExit(parts, initOf(row), deleted);
  parts.db.transaction(() => appendDeleted(parts, row, deleted));
  await parts.events.publish();
  return deleted;
};

const deletedOf = ({ pid, exitStatus, exitedAt }: DeleteResponse): Deleted => ({
  pid,
  status: exitStatus,
  exitedAt: nanosFromTimestamp(exitedAt),
});

/** The answer of a delete that may not have been heard. */
const revive = (parts: TaskParts, key: ProcessKey): Deleted | undefined =>
  parts.heard.has(keyText(key)) ? undefined : parts.tombstones.get(key);

/**
 * A caller that is still there gets its answer, and nobody gets it again from us. That we may be killed before it has
 * left is what the tombstone is kept for, for a while.
 */
const settleTombstone = (parts: TaskParts, key: ProcessKey, signal: AbortSignal): void => {
  const text = keyText(key);
  const heard = !signal.aborted;
  if (heard) parts.heard.add(text);
  const forget = (): void => {
    if (heard && !parts.heard.delete(text)) return; // the name has a new bearer
    try {
      parts.db.transaction(() => parts.tombstones.remove(key));
    } catch (error) {
      parts.log.warn({ ...key, err: messageOf(error) }, 'an answer is kept for longer than it need be');
    }
  };
  setTimeout(forget, heard ? TOMBSTONE_MS : UNHEARD_MS).unref();
};
