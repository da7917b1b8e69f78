import { readdirSync, readFileSync } from 'node:fs';

/** Process ids of the zygotes that a process has started; one at most, but for moments. */
export const zygotesOf = (parent: number): number[] =>
  readdirSync('/proc').flatMap((pid) => {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').endsWith('\0zygote\0')) return [];
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      return fields[1] === String(parent) ? [Number(pid)] : [];
    } catch {
      return []; // no process, or one that has ended
    }
  });
