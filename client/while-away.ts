import { setTimeout as pause } from 'node:timers/promises';
import { codeOf, codes } from '../common/errdefs.ts';

/** Pauses between two questions to a daemon that is away, milliseconds: the first, and the longest. */
const AWAY_PAUSE_MS = { first: 20, max: 500 } as const;

/**
 * Repeats a call that may be repeated while the daemon is away (unavailable), until it answers something else or
 * `signal` aborts. `onAway` is called once, when the first attempt finds nobody.
 */
export const repeatWhileAway = async <T>(
  call: () => Promise<T>,
  onAway?: (error: unknown) => void,
  signal?: AbortSignal,
): Promise<T> => {
  let pauseMs = 0;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (codeOf(error) !== codes.unavailable) throw error;
      if (pauseMs === 0) onAway?.(error);
    }
    pauseMs = nextPause(pauseMs);
    await pause(pauseMs, undefined, signal === undefined ? {} : { signal });
  }
};

export const nextPause = (pauseMs: number): number =>
  Math.min(Math.max(pauseMs * 2, AWAY_PAUSE_MS.first), AWAY_PAUSE_MS.max);
