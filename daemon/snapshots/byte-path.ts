import { isUtf8 } from 'node:buffer';
import { closeSync, constants, openSync } from 'node:fs';

// Names of files are bytes, and images bring some along that are no text.

const SLASH = Buffer.from('/');

/** Opens no file, only names it. Source: asm-generic/fcntl.h; Node has no constant for it. */
const O_PATH = 0o10000000;

export const joinPath = (directory: Buffer, name: Buffer): Buffer => Buffer.concat([directory, SLASH, name]);

/**
 * Gives `use` a text that leads to exactly that file, a symlink too, for calls that take no bytes; `noFollow` is what
 * they have to be told then.
 */
export const withTextPath = <T>(path: Buffer, use: (path: string, options: { readonly noFollow: boolean }) => T): T => {
  if (isUtf8(path)) return use(path.toString(), { noFollow: true });
  const fd = openSync(path, O_PATH | constants.O_NOFOLLOW);
  try {
    return use(`/proc/self/fd/${fd}`, { noFollow: false });
  } finally {
    closeSync(fd);
  }
};
