import { readFileSync } from 'node:fs';
import { exitOf, type ProcessExit } from '../native/index.ts';

/** A process that is meant for good: a pid alone may be somebody else's by tomorrow. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks between the boot and the process's start. Source: proc_pid_stat(5), field 22. */
  readonly startTime: bigint;
}

/** The start time of a process, a zombie's too; undefined if there is none of that pid. */
export const startTimeOf = (pid: number): bigint | undefined => {
  const fields = statFields(pid);
  // Field 22 of the file is the 20th after the name, which may itself hold spaces and parentheses.
  return fields?.[19] === undefined ? undefined : BigInt(fields[19]);
};

/** The state letter of a process (`Z`: ended, not reaped yet); undefined if there is none of that pid. */
export const stateOf = (pid: number): string | undefined => statFields(pid)?.[0];

/** How a process ended that nobody has reaped yet; undefined if it has not ended, or is gone. Needs to be root. */
export const zombieExit = ({ pid, startTime }: ProcessIdentity): ProcessExit | undefined => {
  const fields = statFields(pid);
  if (fields?.[0] !== 'Z' || fields[19] !== String(startTime) || fields[49] === undefined) return undefined;
  return exitOf(Number(fields[49])); // field 52 of the file, as wait(2) would give it
};

/** Identity of the running kernel; pids and start times mean nothing under another. */
export const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

const statFields = (pid: number): string[] | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat
      .slice(stat.lastIndexOf(')') + 2)
      .trim()
      .split(' ');
  } catch {
    return undefined;
  }
};
