import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  /** How long to try, milliseconds. Default 20,000: generous, because a condition that comes ends the wait. */
  readonly ms?: number;
  /** Pause between two tries, milliseconds. */
  readonly everyMs?: number;
  /** What is waited for; part of the error. */
  readonly what?: string;
}

/**
 * Calls `probe` until it gives something other than `undefined` or `false`, and gives that. A probe that throws is
 * tried again; when the time is over, its last error is the cause of ours.
 */
export const eventually = async <T>(
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  { ms = 20_000, everyMs = 20, what = 'a condition' }: WaitOptions = {},
): Promise<T> => {
  const end = performance.now() + ms;
  for (;;) {
    let cause: unknown;
    try {
      const result = await probe();
      if (result !== undefined && result !== false) return result;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > end) throw new Error(`waited ${ms} ms in vain for ${what}`, { cause });
    await sleep(everyMs);
  }
};

/** Gives what `promise` gives, or fails after `ms` milliseconds. */
export const within = async <T>(ms: number, what: string, promise: Promise<T>): Promise<T> => {
  const timer = new AbortController();
  const late = async (): Promise<never> => {
    await sleep(ms, undefined, { signal: timer.signal });
    throw new Error(`${what} took longer than ${ms} ms`);
  };
  try {
    return await Promise.race([promise, late()]);
  } finally {
    timer.abort();
  }
};
