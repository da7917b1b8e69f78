import { closeSync, constants } from 'node:fs';
import { listDirectory, openBelow, removeBelow } from '../../../native/index.ts';

/** Removes an entry with all below it. No symlink is followed, and nothing there is no error. */
export const removeTree = (directoryFd: number, name: string): void => {
  if (removeBelow(directoryFd, name)) return;
  const fd = openBelow(directoryFd, name, { flags: OPEN_REAL_DIRECTORY, resolve: { beneath: true, noSymlinks: true } });
  try {
    for (const below of listDirectory(fd)) removeTree(fd, below);
  } finally {
    closeSync(fd);
  }
  if (!removeBelow(directoryFd, name)) removeTree(directoryFd, name); // somebody put something into it meanwhile
};

/** Fails on a symlink that took the directory's place. */
export const OPEN_REAL_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
