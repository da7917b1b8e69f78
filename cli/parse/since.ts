import { InvalidArgumentError } from 'commander';
import type { Subscription } from '../../client/events.ts';
import { nowWholeMs } from '../../common/timestamp.ts';
import { parseDuration } from './duration.ts';

/** Where events begin: `10m` (that long ago), `2026-03-01T10:00:00Z`, or `417` (behind that place in the log). */
export const parseSince = (text: string): NonNullable<Subscription['since']> => {
  if (/^\d{1,19}$/.test(text)) return { sequence: BigInt(text) };
  const ago = parseDuration(text);
  if (ago !== undefined) return { timeNanos: ago > nowWholeMs() ? 0n : nowWholeMs() - ago };
  const ms = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms))
    throw new InvalidArgumentError('It is a duration (10m, 1h30m), a time (2026-03-01T10:00:00Z) or a sequence (417).');
  return { timeNanos: BigInt(ms) * 1_000_000n };
};
