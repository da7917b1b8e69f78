import { messageOf } from '../../common/errdefs.ts';
import { nanosFromTimestamp, nowNanos } from '../../common/timestamp.ts';
import type { Shim } from '../shims/shim.ts';
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
  const wait = async (): Promise<void> => {
    const response = await shim.call('wait', { id, execId }, { signal: parts.stopping });
    const exit = { status: response.exitStatus, exitedAt: nanosFromTimestamp(response.exitedAt) || nowNanos() };
    parts.db.transaction(() => {
      const row = execId === '' ? parts.tasks.get(key) : parts.execs.get(key);
      if (row !== undefined && row.exit === undefined) recordExit(parts, row, exit, false);
    });
    await new Promise((resolve) => setTimeout(resolve, ANNOUNCE_GRACE_MS).unref());
    await announceExit(parts, key, exit);
  };
  // A shim that is lost is dealt with as such; and a process that was never started has no exit.
  void wait().catch((error: unknown) => parts.log.debug({ ...key, err: messageOf(error) }, 'background wait ended'));
};
