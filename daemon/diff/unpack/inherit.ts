import { closeSync } from 'node:fs';
import {
  getXattrBelow,
  listXattrsBelow,
  openBelow,
  setInodeBelow,
  setXattrBelow,
  statBelow,
} from '../../../native/index.ts';
import { isErrno, OPEN_DIRECTORY } from './directories.ts';

/**
 * A directory that a layer needs and does not bring looks like the one below that it covers: the first of `lowerFds`
 * that has the path decides.
 */
export const copyDirectoryAttributes = (
  lowerFds: readonly number[],
  path: string,
  to: { readonly directoryFd: number; readonly name: string },
): void => {
  for (const lower of lowerFds) {
    const fd = openLower(lower, path);
    if (fd === 'absent') continue;
    if (fd === 'covered') return;
    try {
      const about = statBelow(fd, '');
      if (about === undefined) return;
      const { uid, gid, mode, mtime } = about;
      setInodeBelow(to.directoryFd, to.name, { uid, gid, mode: mode & 0o7777, atime: mtime, mtime });
      for (const key of listXattrsBelow(fd, '')) {
        const value = key.startsWith('trusted.') ? undefined : getXattrBelow(fd, '', key);
        if (value !== undefined) setXattrBelow(to.directoryFd, to.name, key, value);
      }
      return;
    } finally {
      closeSync(fd);
    }
  }
};

/** `covered`: something that is no directory is there, so nothing below counts. */
const openLower = (lower: number, path: string): number | 'absent' | 'covered' => {
  try {
    return openBelow(lower, path, { flags: OPEN_DIRECTORY, resolve: { inRoot: true, noMagicLinks: true } });
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 'absent';
    if (isErrno(error, 'ENOTDIR')) return 'covered';
    throw error;
  }
};
