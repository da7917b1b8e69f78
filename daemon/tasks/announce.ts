import { packAny } from '../../common/any.ts';
import { timestampFromNanos } from '../../common/timestamp.ts';
import { nowNanos } from '../../native/index.ts';
import { TaskDelete, TaskExit } from '../../proto/gen/containerd/events/event_payloads.ts';
import type { Exit, TaskKey } from '../store/tables/tasks.ts';
import type { Deleted } from '../store/tables/tombstones.ts';
import { recordExit } from './intake.ts';
import type { ProcessKey } from './keys.ts';
import type { TaskParts } from './parts.ts';

/**
 * Publishes an exit that no shim will tell of (any more), unless it is in the log already. `exit` is taken only if none
 * is known.
 */
export const announceExit = async (parts: TaskParts, key: ProcessKey, exit: Exit): Promise<void> => {
  parts.db.transaction(() => {
    const row = key.execId === '' ? parts.tasks.get(key) : parts.execs.get(key);
    // A process that never came to be has no exit: dockerd takes pid 0 for one of its containers.
    if (row === undefined || row.announced || row.pid === 0) return;
    const known = row.exit ?? exit;
    recordExit(parts, row, known, true);
    parts.events.append({
      namespace: key.namespace,
      topic: '/tasks/exit',
      timestampNanos: nowNanos(),
      payload: packAny('containerd.events.TaskExit', TaskExit, {
        containerId: key.id,
        id: key.execId === '' ? key.id : key.execId,
        pid: row.pid,
        exitStatus: known.status,
        exitedAt: timestampFromNanos(known.exitedAt),
      }),
    });
  });
  await parts.events.publish();
};

/** Inside a transaction: the event of a delete whose shim is gone and cannot send it. */
export const appendDeleted = (parts: TaskParts, { namespace, id }: TaskKey, deleted: Deleted): void => {
  parts.events.append({
    namespace,
    topic: '/tasks/delete',
    timestampNanos: nowNanos(),
    payload: packAny('containerd.events.TaskDelete', TaskDelete, {
      containerId: id,
      pid: deleted.pid,
      exitStatus: deleted.status,
      exitedAt: timestampFromNanos(deleted.exitedAt),
      id: '',
    }),
  });
};
