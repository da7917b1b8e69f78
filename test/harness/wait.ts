import { setTimeout as sleep } from 'node:timers/promises';

/**
 * How many times slower than usual this machine is: every time limit of the harness is that much longer. An emulated
 * guest says so (`HOLDFAST_TEST_SLOWNESS`).
 */
export const slowness = Number(process.env.HOLDFAST_TEST_SLOWNESS ?? 1);

export interface WaitOptions {
  /** How long to try, milliseconds (times `slowness`). Default 20,000: generous, because a condition that comes ends the wait. */
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
  const limit = ms * slowness;
  const end = performance.now() + limit;
  for (;;) {
    let cause: unknown;
    try {
      const result = await probe();
      if (result !== undefined && result !== false) return result;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > end) throw new Error(`waited ${limit} ms in vain for ${what}`, { cause });
    await sleep(everyMs);
  }
};

/** Gives what `promise` gives, or fails after `ms` milliseconds (times `slowness`). */
export const within = async <T>(ms: number, what: string, promise: Promise<T>): Promise<T> => {
  const limit = ms * slowness;
  const timer = new AbortController();
  const late = async (): Promise<never> => {
    await sleep(limit, undefined, { signal: timer.signal });
    throw new Error(`${what} took longer than ${limit} ms`);
  };
  try {
    return await Promise.race([promise, late()]);
  } finally {
    timer.abort();
  }
};
