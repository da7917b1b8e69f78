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

/** Now, in nanoseconds since 1970 but cut to the millisecond; what has to be exact takes native's nowNanos. */
export const nowWholeMs = (): bigint => BigInt(Date.now()) * NANOS_PER_MILLISECOND;

/** RFC 3339 with nanoseconds, for logs and the CLI. */
export const formatNanos = (nanos: bigint): string => {
  const { seconds, nanos: rest } = timestampFromNanos(nanos);
  const date = new Date(Number(seconds) * 1000).toISOString();
  return `${date.slice(0, 19)}.${String(rest).padStart(9, '0')}Z`;
};
