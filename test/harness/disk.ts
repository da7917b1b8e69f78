import { closeSync, openSync, writeSync } from 'node:fs';

/** Writes to a file until its file system has no room for a byte more. */
export const fill = (path: string): void => {
  const fd = openSync(path, 'w');
  try {
    for (let bytes = 1 << 16; bytes >= 1;) {
      try {
        writeSync(fd, Buffer.alloc(bytes));
      } catch {
        bytes >>= 1;
      }
    }
  } finally {
    closeSync(fd);
  }
};
