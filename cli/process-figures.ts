import { readFileSync } from 'node:fs';
import pidusage from 'pidusage';

/** What a process of this machine uses. */
export interface ProcessFigures {
  readonly pid: number;
  readonly elapsedMs: number;
  /** Resident; with what it shares with others. */
  readonly memoryBytes: number;
  /** The part of it that nobody else uses; undefined: it is not ours to look into. */
  readonly privateBytes: number | undefined;
  /** On average since its start; 100 is one CPU. */
  readonly cpuPercent: number;
}

/** Undefined: it has just ended. */
export const figuresOf = async (pid: number): Promise<ProcessFigures | undefined> => {
  try {
    const { elapsed, memory, ctime } = await pidusage(pid);
    return {
      pid,
      elapsedMs: Math.round(elapsed),
      memoryBytes: memory,
      privateBytes: privateBytes(pid),
      cpuPercent: elapsed > 0 ? Math.round((10_000 * ctime) / elapsed) / 100 : 0,
    };
  } catch {
    return undefined;
  }
};

/** Source: proc(5), /proc/PID/smaps_rollup, whose numbers are in kB of 1024 bytes. */
const privateBytes = (pid: number): number | undefined => {
  try {
    const lines = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB/gm);
    return lines.reduce((total, [, kilobytes]) => total + 1024 * Number(kilobytes), 0);
  } catch {
    return undefined;
  }
};
