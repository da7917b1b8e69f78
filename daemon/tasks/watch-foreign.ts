import { messageOf } from '../../common/errdefs.ts';
import { nanosFromTimestamp } from '../../common/timestamp.ts';
import { nowNanos } from '../../native/index.ts';
import type { Shim } from '../shims/shim.ts';
import type { ExecRow } from '../store/tables/execs.ts';
import type { TaskRow } from '../store/tables/tasks.ts';
import { announceExit } from './announce.ts';
import { recordExit } from './intake.ts';
import type { ProcessKey } from './keys.ts';
import type { TaskParts } from './parts.ts';

/** How long the event of an exit that a foreign shim has told us of otherwise may take before we publish one, ms. */
const ANNOUNCE_GRACE_MS = 3_000;

/**
 * Waits in the background for the end of a process whose shim is not ours: such a shim drops an event that it cannot
 * deliver for some seconds, and our clients wait for our word.
 */
export const watchForeign = (parts: TaskParts, shim: Shim, key: ProcessKey): void => {
  const { id, execId } = key;
  const row = (): TaskRow | ExecRow | undefined => (execId === '' ? parts.tasks.get(key) : parts.execs.get(key));
  const pid = row()?.pid;
  // The name may have gone to another process by the time that we hear of this one.
  const sameRow = (): TaskRow | ExecRow | undefined => [row()].find((found) => found?.pid === pid);
  const wait = async (): Promise<void> => {
    const response = await shim.call('wait', { id, execId }, { signal: parts.stopping });
    const exit = { status: response.exitStatus, exitedAt: nanosFromTimestamp(response.exitedAt) || nowNanos() };
    parts.db.transaction(() => {
      const ended = sameRow();
      if (ended !== undefined && ended.exit === undefined) recordExit(parts, ended, exit, false);
    });
    await new Promise((resolve) => setTimeout(resolve, ANNOUNCE_GRACE_MS).unref());
    if (sameRow() !== undefined) await announceExit(parts, key, exit);
  };
  // A shim that is lost is dealt with as such; and a process that was never started has no exit.
  void wait().catch((error: unknown) => parts.log.debug({ ...key, err: messageOf(error) }, 'background wait ended'));
};
