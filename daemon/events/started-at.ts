import { readFileSync } from 'node:fs';
import { nowNanos } from '../../native/index.ts';
import { startTimeOf } from '../shims/processes.ts';

/** Clock ticks a second in /proc; the same on every Linux that matters. Source: proc(5), sysconf(_SC_CLK_TCK). */
const TICKS_PER_SECOND = 100;

/**
 * When a process was started, nanoseconds since 1970 (exact to 20 ms); undefined if that cannot be told: it is gone, or
 * in a pid namespace that we do not see.
 */
export const startedAt = (pid: number): bigint | undefined => {
  const ticks = startTimeOf(pid);
  if (ticks === 0n) return undefined;
  const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  return nowNanos() - BigInt(Math.round((uptime - Number(ticks) / TICKS_PER_SECOND) * 1e9));
};
