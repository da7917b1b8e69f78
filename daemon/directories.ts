import { chmodSync, closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { failedPrecondition } from '../common/errdefs.ts';
import { lockFile } from '../native/index.ts';
import type { Config } from './config.ts';

/** Nobody but root looks into the root. */
const ROOT_MODE = 0o700;
/** Others may pass through the state directory (a remapped container's root must reach its bundle), not list it. */
const STATE_MODE = 0o711;

/** Makes the daemon's directories, and corrects the modes of those that are there. */
export const makeDirectories = ({ root, state, address, ttrpcAddress }: Config): void => {
  make(root, ROOT_MODE);
  make(state, STATE_MODE);
  for (const path of [address, ttrpcAddress]) mkdirSync(dirname(path), { recursive: true, mode: STATE_MODE });
};

const make = (path: string, mode: number): void => {
  mkdirSync(path, { recursive: true, mode });
  chmodSync(path, mode);
};

export interface DirectoryLock {
  /** Held as long as this descriptor, or a copy of it, is open. */
  readonly fd: number;
  close(): void;
}

/**
 * Two daemons on one root would write into each other's metadata, and on one state take each other's containers for
 * theirs: the second is told who is there.
 */
export const lockDirectory = (directory: string, kind: 'root' | 'state'): DirectoryLock => {
  const path = join(directory, 'lock');
  const fd = openSync(path, 'a+', 0o600);
  if (!lockFile(fd, 'exclusive')) {
    const holder = readFileSync(fd, 'utf8').trim();
    closeSync(fd);
    throw failedPrecondition(
      `${kind} ${directory} is in use by another daemon (pid ${holder === '' ? 'unknown' : holder})`,
    );
  }
  ftruncateSync(fd);
  writeSync(fd, `${process.pid}\n`);
  return { fd, close: () => closeSync(fd) };
};
