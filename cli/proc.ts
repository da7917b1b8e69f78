import { readFileSync } from 'node:fs';
import { nowWholeMs } from '../common/timestamp.ts';

/** Ticks in which /proc counts time, a second. Source: USER_HZ, 100 on all architectures of ours. */
const TICKS_PER_SECOND = 100;
/** Places in /proc/PID/stat behind the name of the program, which may hold blanks. Source: proc_pid_stat(5). */
const PLACES = { parent: 1, terminal: 4, userTime: 11, systemTime: 12, startTime: 19 } as const;
/** Major numbers of devices that are terminals: /dev/pts from 136 on, /dev/tty and /dev/ttyS. Source: devices.txt. */
const PTS_MAJORS = { first: 136, last: 143 } as const;
const TTY_MAJOR = 4;
const SERIAL_MINOR = 64;

/** What /proc tells of a process of this machine. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parentPid: number;
  /** As this process sees it. */
  readonly uid: number;
  /** `pts/0`; undefined: it has none. */
  readonly terminal: string | undefined;
  /** CPU time, nanoseconds. */
  readonly cpuNanos: bigint;
  /** Nanoseconds since 1970. */
  readonly startedAtNanos: bigint;
  /** Program and arguments; of one that has none the name, in brackets. */
  readonly command: readonly string[];
}

/** Undefined: it is gone. */
export const readProcess = (pid: number): ProcessEntry | undefined => {
  try {
    const text = (file: string): string => readFileSync(`/proc/${pid}/${file}`, 'utf8');
    const stat = text('stat');
    const field = fieldsOf(stat);
    const command = text('cmdline').replace(/\0$/, '');
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    return {
      pid,
      parentPid: field(PLACES.parent),
      uid: Number(/^Uid:\s+\d+\s+(\d+)/m.exec(text('status'))?.[1]),
      terminal: terminalName(field(PLACES.terminal)),
      cpuNanos: nanos(field(PLACES.userTime) + field(PLACES.systemTime)),
      startedAtNanos: sinceBoot(field(PLACES.startTime)),
      command: command === '' ? [`[${name}]`] : command.split('\0'),
    };
  } catch {
    return undefined;
  }
};

/** When a process of this machine was started, nanoseconds since 1970; undefined: it is gone. The API does not tell. */
export const startedAtNanos = (pid: number): bigint | undefined => readProcess(pid)?.startedAtNanos;

const fieldsOf = (stat: string): ((place: number) => number) => {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (place) => Number(fields[place]);
};

const nanos = (ticks: number): bigint => (BigInt(ticks) * 1_000_000_000n) / BigInt(TICKS_PER_SECOND);

const sinceBoot = (ticks: number): bigint => {
  const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  return nowWholeMs() - BigInt(Math.round((uptime - ticks / TICKS_PER_SECOND) * 1e9));
};

/** Of a device number as the kernel packs it: minor 31-20 and 7-0, major 15-8. */
const terminalName = (device: number): string | undefined => {
  if (device === 0) return undefined;
  const major = (device >> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >> 12) & 0xfff00);
  if (major >= PTS_MAJORS.first && major <= PTS_MAJORS.last) return `pts/${(major - PTS_MAJORS.first) * 256 + minor}`;
  if (major === TTY_MAJOR) return minor < SERIAL_MINOR ? `tty${minor}` : `ttyS${minor - SERIAL_MINOR}`;
  return `${major}:${minor}`;
};
