import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Source: open(2), the access modes. */
const ACCESS_MODE = 0b11;
const WRITE_ONLY = 0b01;

export interface Reader {
  readonly pid: number;
  /** `dockerd` */
  readonly name: string;
}

/**
 * Who else reads a FIFO on this machine: two readers would each get a part of it. `except`: pids of those who
 * only hold it open so that it does not break, the daemon and shims. Processes that we may not look into are not seen.
 */
export const otherReader = (fifo: string, except: ReadonlySet<number | undefined>): Reader | undefined => {
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid || except.has(pid)) continue;
    try {
      if (reads(pid, fifo)) return { pid, name: readFileSync(`/proc/${pid}/comm`, 'utf8').trim() };
    } catch {
      // It has just ended, or is not ours to look into.
    }
  }
  return undefined;
};

const reads = (pid: number, path: string): boolean =>
  readdirSync(`/proc/${pid}/fd`).some((fd) => {
    if (readlinkSync(`/proc/${pid}/fd/${fd}`) !== path) return false;
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0';
    return (Number.parseInt(flags, 8) & ACCESS_MODE) !== WRITE_ONLY;
  });
