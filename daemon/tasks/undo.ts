import { codeOf, codes, isNotFound, messageOf } from '../../common/errdefs.ts';
import { removeBundle } from '../shims/bundle.ts';
import { removeCgroups } from '../shims/cgroups.ts';
import type { Shim } from '../shims/shim.ts';
import { deleteByCommand } from '../shims/shim-command.ts';
import { commandOf } from '../shims/spawn.ts';
import type { TaskKey, TaskRow } from '../store/tables/tasks.ts';
import { initOf } from './keys.ts';
import type { TaskParts } from './parts.ts';

/**
 * Leaves nothing of a task that was being created: container, shim, mounts, bundle, rows. It takes any state that a
 * failure or a crash can leave, and may be repeated. What cannot be removed now keeps its intent, and the next start of
 * the daemon, or the next create of that name, tries again. Never rejects.
 */
export const undoCreate = async (parts: TaskParts, key: TaskKey): Promise<void> => {
  const row = parts.tasks.get(key);
  if (row === undefined) return parts.db.transaction(() => parts.intents.clear(key));
  try {
    if (!(await deletedByShim(parts, row))) await deletedByOthers(parts, row);
    await removeCgroups(row.bundle);
    parts.shimLogs.close(row.bundle);
    parts.stdio.release(initOf(key));
    await removeBundle(parts.config, row.bundle);
  } catch (error) {
    parts.log.error({ ...key, err: error }, 'what was left of a create cannot be removed now');
    return;
  }
  parts.db.transaction(() => {
    parts.tasks.remove(key);
    parts.intents.clear(key);
    // A shim that never came to be; one that lives is released below.
    if (parts.shims.get(row.shim) === undefined && parts.tasks.ofShim(row.shim).length === 0)
      parts.shimTable.remove(row.shim);
  });
  await parts.shims.release(row.shim);
};

/** Asks the shim, if there is one, to forget the container. False: it could not. */
const deletedByShim = async (parts: TaskParts, row: TaskRow): Promise<boolean> => {
  const shim = parts.shims.get(row.shim);
  if (shim === undefined) return false;
  try {
    await shim.call('delete', { id: row.id, execId: '' }, { timeoutMs: parts.config.timeouts.shimCleanupMs });
    return true;
  } catch (error) {
    if (isNotFound(error)) return true;
    parts.log.warn({ namespace: row.namespace, container: row.id, err: messageOf(error) }, 'shim cannot undo a create');
    if (codeOf(error) === codes.deadlineExceeded) killIfAlone(parts, shim, row);
    return false;
  }
};

/** A shim that hangs is in the way of what comes next; but others of its group are not to suffer. */
const killIfAlone = (parts: TaskParts, shim: Shim, row: TaskRow): void => {
  if (parts.tasks.ofShim(row.shim).every((task) => task.id === row.id)) shim.kill();
};

const deletedByOthers = async (parts: TaskParts, row: TaskRow): Promise<void> => {
  const binary = parts.shimTable.get(row.shim)?.binary ?? '';
  const command = commandOf(parts.shims.parts, binary);
  await deleteByCommand(command, row, parts.config.timeouts.shimCleanupMs).catch((error: unknown) => {
    // Without a bundle, nothing has come of it.
    parts.log.debug({ namespace: row.namespace, container: row.id, err: messageOf(error) }, 'delete command failed');
  });
};
