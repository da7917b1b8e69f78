import { lstatSync, readdirSync } from 'node:fs';
import { joinPath } from './byte-path.ts';
import type { DiskUsage } from './file-job.ts';

/** Bytes in a block of `st_blocks`, whatever the file system's are. Source: stat(2). */
const BLOCK_BYTES = 512n;

/** What a tree takes on the disk, its root included; a file with several names counts once. */
export const diskUsage = (root: string): DiskUsage => {
  const linked = new Set<string>();
  let blocks = 0n;
  let inodes = 0n;
  const visit = (path: Buffer): void => {
    const about = lstatSync(path, { bigint: true });
    const isDirectory = about.isDirectory();
    if (!isDirectory && about.nlink > 1n) {
      const inode = `${about.dev}:${about.ino}`;
      if (linked.has(inode)) return;
      linked.add(inode);
    }
    blocks += about.blocks;
    inodes += 1n;
    if (isDirectory) for (const name of readdirSync(path, { encoding: 'buffer' })) visit(joinPath(path, name));
  };
  visit(Buffer.from(root));
  return { size: blocks * BLOCK_BYTES, inodes };
};
