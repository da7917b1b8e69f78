import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';

/**
 * Replaces `path` as a whole: a reader sees the old bytes or the new ones, never a part. Synchronous, for small
 * documents on tmpfs; with `sync` the bytes are on the disk before the name is.
 */
export const replaceFile = (
  path: string,
  data: string | Uint8Array,
  options: { readonly mode?: number; readonly sync?: boolean } = {},
): void => {
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  try {
    const fd = openSync(temporary, 'wx', options.mode ?? 0o600);
    try {
      writeFileSync(fd, data);
      if (options.sync === true) fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
};

/** Resolves when the names in a directory are on the disk. */
export const syncDirectory = async (path: string): Promise<void> => {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
};
