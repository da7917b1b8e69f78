import { messageOf, unavailable } from '../../common/errdefs.ts';
import { nowNanos } from '../../native/index.ts';
import { removeBundle } from '../shims/bundle.ts';
import { readExitRecord } from '../shims/exit-records.ts';
import { startTimeOf } from '../shims/processes.ts';
import type { Shim } from '../shims/shim.ts';
import { deleteByCommand } from '../shims/shim-command.ts';
import { commandOf } from '../shims/spawn.ts';
import type { ExecRow } from '../store/tables/execs.ts';
import type { TaskRow } from '../store/tables/tasks.ts';
import { nanosFromTimestamp } from '../../common/timestamp.ts';
import { announceExit, appendDeleted } from './announce.ts';
import { forgetTask } from './delete.ts';
import { initOf } from './keys.ts';
import type { TaskParts } from './parts.ts';
import { keepHandout } from './keepsakes.ts';

/** Between two attempts to adopt, ms; doubled from the one to the other. */
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 30_000;
/** Attempts after which a shim whose containers have all ended is given up. One with a live container never is. */
const TRIES_MAX = 5;
/** Exit status when nobody knows any better. Source: containerd reports the same. */
const UNKNOWN_STATUS = 255;

/** A shim has ended though nobody asked it to, or was found dead at our start. */
export const recoverShim = async (parts: TaskParts, shim: Shim): Promise<void> => {
  const tasks = parts.tasks.ofShim(shim.key);
  parts.log.warn({ shim: shim.key, pid: shim.row.pid, tasks: tasks.map(({ id }) => id) }, 'shim has ended');
  const gone = unavailable(`shim of ${shim.row.id} has ended`);
  // A create that is under way fails, and undoes itself.
  if (tasks.every(({ status }) => status === 'creating')) return parts.shims.forget(shim, gone);
  if (shim.own) return adopt(parts, shim);
  parts.shims.forget(shim, gone);
  for (const task of tasks) await cleanUpAfter(parts, task);
};

/** A new process takes up the ledger, and the containers notice nothing. */
const adopt = async (parts: TaskParts, shim: Shim): Promise<void> => {
  let retryMs = RETRY_MS_MIN;
  for (let tries = 1; !parts.stopping.aborted; tries += 1) {
    try {
      await parts.shims.adopt(shim);
      parts.log.info({ shim: shim.key, pid: shim.row.pid, tries }, 'shim adopted');
      await keepHandout(parts, shim);
      return;
    } catch (error) {
      parts.log.error({ shim: shim.key, tries, err: messageOf(error) }, 'shim cannot be adopted');
    }
    if (tries >= TRIES_MAX && !parts.tasks.ofShim(shim.key).some(isAlive)) return giveUp(parts, shim);
    await new Promise((resolve) => setTimeout(resolve, retryMs).unref());
    retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
  }
};

/** All its containers have ended: how, say their records. Delete will do without the shim. */
const giveUp = async (parts: TaskParts, shim: Shim): Promise<void> => {
  const tasks = parts.tasks.ofShim(shim.key);
  parts.shims.forget(shim, unavailable(`shim of ${shim.row.id} is lost`));
  for (const task of tasks) {
    for (const exec of parts.execs.ofTask(task)) await announceFromRecord(parts, task, exec);
    await announceFromRecord(parts, task, undefined);
  }
};

const announceFromRecord = async (parts: TaskParts, task: TaskRow, exec: ExecRow | undefined): Promise<void> => {
  const record = readExitRecord(task.bundle, exec?.execId ?? '');
  const known = record?.pid === (exec ?? task).pid ? record : undefined;
  const exit = known ?? { status: UNKNOWN_STATUS, exitedAt: nowNanos() };
  await announceExit(parts, exec ?? initOf(task), exit);
};

const isAlive = ({ exit, pid, bundle }: TaskRow): boolean =>
  exit === undefined && readExitRecord(bundle, '') === undefined && pid !== 0 && startTimeOf(pid) !== 0n;

/**
 * A shim that is not ours takes its containers along: its `delete` command ends what is left, and the task is gone, as
 * in containerd.
 */
const cleanUpAfter = async (parts: TaskParts, task: TaskRow): Promise<void> => {
  if (task.status === 'creating') return;
  const binary = parts.shimTable.get(task.shim)?.binary ?? '';
  const timeoutMs = parts.config.timeouts.shimCleanupMs;
  const response = await deleteByCommand(commandOf(parts.shims.parts, binary), task, timeoutMs).catch(
    (error: unknown) => {
      parts.log.warn({ namespace: task.namespace, container: task.id, err: messageOf(error) }, 'delete command failed');
      return undefined;
    },
  );
  const known = parts.tasks.get(task);
  if (known === undefined) return; // a Delete was faster
  const status = response?.exitStatus ?? UNKNOWN_STATUS;
  const exitedAt = nanosFromTimestamp(response?.exitedAt) || nowNanos();
  const deleted = { pid: known.pid, ...(known.exit ?? { status, exitedAt }) };
  await announceExit(parts, initOf(task), deleted);
  parts.shimLogs.close(task.bundle);
  await removeBundle(parts.config, task.bundle).catch((error: unknown) => {
    parts.log.error({ namespace: task.namespace, container: task.id, err: error }, 'bundle cannot be removed now');
  });
  parts.db.transaction(() => appendDeleted(parts, task, deleted));
  forgetTask(parts, task, deleted);
  parts.db.transaction(() => {
    parts.tombstones.clear(task); // nobody has asked for it yet
    parts.shimTable.remove(task.shim);
  });
  await parts.events.publish();
};
