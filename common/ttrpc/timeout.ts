/** Longest delay that a timer can hold, ms; a longer one is as good as none. Source: Node, setTimeout. */
const TIMER_MS_MAX = 2 ** 31 - 1;
const INT64_MAX = 2n ** 63n - 1n;
const NANOS_PER_MS = 1e6;

/** A timeout as it travels: nanoseconds, 0n for none. */
export const encodeTimeout = (ms: number | undefined): bigint => {
  if (ms === undefined || ms === Infinity) return 0n;
  const nanos = Math.ceil(ms * NANOS_PER_MS);
  return nanos < Number(INT64_MAX) ? BigInt(nanos) : INT64_MAX;
};

/** ms from now; undefined: none. Go sends what is left of a deadline, so one that has passed is negative: 0 here. */
export const decodeTimeout = (nanos: bigint): number | undefined =>
  nanos === 0n ? undefined : Math.max(0, Math.ceil(Number(nanos) / NANOS_PER_MS));

/** Calls `onEnd` in `ms`; undefined, for `clearTimeout` too, if that is never. */
export const startTimer = (ms: number | undefined, onEnd: () => void): NodeJS.Timeout | undefined =>
  ms === undefined || ms > TIMER_MS_MAX ? undefined : setTimeout(onEnd, ms);
