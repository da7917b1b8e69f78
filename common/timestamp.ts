import type { Timestamp } from '../proto/gen/google/protobuf/timestamp.ts';

const NANOS_PER_SECOND = 1_000_000_000n;

/** Go's zero time as a Timestamp has these seconds: clients send it for "unset". */
export const GO_ZERO_TIME_SECONDS = -62_135_596_800n;

/** Nanoseconds since 1970 to a protobuf Timestamp. */
export const timestampFromNanos = (nanos: bigint): Timestamp => {
  let seconds = nanos / NANOS_PER_SECOND;
  let rest = nanos % NANOS_PER_SECOND;
  if (rest < 0n) {
    seconds -= 1n;
    rest += NANOS_PER_SECOND;
  }
  return { seconds, nanos: Number(rest) };
};

/** A protobuf Timestamp to nanoseconds since 1970; an unset one or Go's zero time is 0n. */
export const nanosFromTimestamp = (timestamp: Timestamp | undefined): bigint =>
  timestamp === undefined || timestamp.seconds === GO_ZERO_TIME_SECONDS
    ? 0n
    : timestamp.seconds * NANOS_PER_SECOND + BigInt(timestamp.nanos);

const NANOS_PER_MILLISECOND = 1_000_000n;
/** Past this many nanoseconds outside the wall clock's millisecond the wall clock was set, and it wins. */
const CLOCK_DRIFT_NANOS_MAX = 100_000n;

/**
 * The moment at which the wall clock's millisecond begins, on both clocks. It is waited for, for a millisecond at most:
 * a clock that lagged by the part that Date.now() cuts off would date what happens before the call that caused it.
 */
const anchored = (): { readonly wall: bigint; readonly monotonic: bigint } => {
  const before = Date.now();
  let now = before;
  while (now === before) now = Date.now();
  return { wall: BigInt(now) * NANOS_PER_MILLISECOND, monotonic: process.hrtime.bigint() };
};

let anchor = anchored();

/** Now, in nanoseconds since 1970: the wall clock, with the monotonic clock's finer steps. */
export const nowNanos = (): bigint => {
  const fine = anchor.wall + (process.hrtime.bigint() - anchor.monotonic);
  const drift = fine - BigInt(Date.now()) * NANOS_PER_MILLISECOND;
  if (drift >= -CLOCK_DRIFT_NANOS_MAX && drift <= NANOS_PER_MILLISECOND + CLOCK_DRIFT_NANOS_MAX) return fine;
  anchor = anchored();
  return anchor.wall;
};

/** RFC 3339 with nanoseconds, for logs and the CLI. */
export const formatNanos = (nanos: bigint): string => {
  const { seconds, nanos: rest } = timestampFromNanos(nanos);
  const date = new Date(Number(seconds) * 1000).toISOString();
  return `${date.slice(0, 19)}.${String(rest).padStart(9, '0')}Z`;
};
