import { readFileSync } from 'node:fs';
import { nowWholeMs } from '../common/timestamp.ts';

/** Ticks in which /proc counts time, a second. Source: USER_HZ, 100 on all architectures of ours. */
const TICKS_PER_SECOND = 100;
/** Place of `starttime` behind the name of the program, which may hold blanks. Source: proc(5), field 22. */
const START_TIME = 19;

/** When a process of this machine was started, nanoseconds since 1970; undefined: it is gone. The API does not tell. */
export const startedAtNanos = (pid: number): bigint | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[START_TIME]);
    const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
    return nowWholeMs() - BigInt(Math.round((uptime - ticks / TICKS_PER_SECOND) * 1e9));
  } catch {
    return undefined;
  }
};
