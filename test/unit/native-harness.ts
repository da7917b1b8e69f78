import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Code } from '../../common/errdefs.ts';
import { ErrnoError } from '../../native/index.ts';

/** For assert.throws: an ErrnoError with this name, code and, if given, system call. */
export const isErrno =
  (errnoName: string, code: Code, syscall?: string) =>
  (error: unknown): boolean =>
    error instanceof ErrnoError &&
    error.errnoName === errnoName &&
    error.code === code &&
    (syscall === undefined || error.syscall === syscall);

/** Every open descriptor of this process and what it is, without the one that looks. */
export const openDescriptors = (): string[] =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith('/proc/') ? [] : [`${fd} ${target}`];
    } catch {
      return []; // the one that readdir used
    }
  });

const O_CLOEXEC = 0o2000000;

/** Flags as in open(2). */
export const flagsOf = (fd: number): number =>
  Number.parseInt(/^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '', 8);

export const isCloseOnExec = (fd: number): boolean => (flagsOf(fd) & O_CLOEXEC) !== 0;

/** Waits until `pid` is a child of `parent`. */
export const becomesChildOf = async (pid: number, parent: number): Promise<void> => {
  while (!new RegExp(`^PPid:\\s*${parent}$`, 'm').test(readFileSync(`/proc/${pid}/status`, 'utf8'))) await sleep(2);
};
