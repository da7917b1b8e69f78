import { closeSync, constants, readSync } from 'node:fs';
import { type Inode, openBelow, readLinkBelow } from '../../../native/index.ts';
import { isDevice, isDirectory, isFile, isSymlink, layerXattrs, type OpenDirectory } from './tree.ts';

const SECOND = 1_000_000_000n;
/** Contents are compared in pieces of this size, bytes. */
const PIECE_BYTES = 1 << 18;

/** An entry of one side of a comparison. */
export interface Side {
  readonly directory: OpenDirectory;
  readonly name: string;
  readonly inode: Inode;
}

/**
 * Whether a layer need not mention an entry. A file whose times agree to the nanosecond is not read; one whose times
 * were cut to seconds by an archive is.
 */
export const isSame = (lower: Side, upper: Side): boolean => {
  const [a, b] = [lower.inode, upper.inode];
  if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return false;
  if (isDevice(a) && (a.major !== b.major || a.minor !== b.minor)) return false;
  if (!isDirectory(a) && a.size !== b.size) return false;
  if (!sameXattrs(layerXattrs(lower.directory, lower.name), layerXattrs(upper.directory, upper.name))) return false;
  if (a.device === b.device && a.inode === b.inode) return true;
  if (isSymlink(a)) {
    return (
      sameTime(a, b) && readLinkBelow(lower.directory.fd, lower.name) === readLinkBelow(upper.directory.fd, upper.name)
    );
  }
  if (!isFile(a)) return sameTime(a, b);
  if (a.mtime === b.mtime && a.mtime % SECOND !== 0n) return true;
  return sameTime(a, b) && sameContent(lower, upper);
};

/** Times of whole seconds are often ones that were cut. */
const sameTime = (a: Inode, b: Inode): boolean =>
  a.mtime === b.mtime ||
  (a.mtime / SECOND === b.mtime / SECOND && (a.mtime % SECOND === 0n || b.mtime % SECOND === 0n));

const sameXattrs = (a: ReadonlyMap<string, Buffer>, b: ReadonlyMap<string, Buffer>): boolean =>
  a.size === b.size && [...a].every(([key, value]) => b.get(key)?.equals(value) === true);

const sameContent = (a: Side, b: Side): boolean => {
  const [left, right] = [openFile(a), openFile(b)];
  try {
    const [one, other] = [Buffer.allocUnsafe(PIECE_BYTES), Buffer.allocUnsafe(PIECE_BYTES)];
    for (;;) {
      const length = readFull(left, one);
      if (length !== readFull(right, other) || one.compare(other, 0, length, 0, length) !== 0) return false;
      if (length < PIECE_BYTES) return true;
    }
  } finally {
    closeSync(left);
    closeSync(right);
  }
};

/** Fails on what is no file any more. */
export const openFile = ({ directory, name }: { readonly directory: OpenDirectory; readonly name: string }): number =>
  openBelow(directory.fd, name, { flags: constants.O_RDONLY | constants.O_NOFOLLOW, resolve: { beneath: true } });

const readFull = (fd: number, buffer: Buffer): number => {
  let filled = 0;
  while (filled < buffer.length) {
    const read = readSync(fd, buffer, filled, buffer.length - filled, null);
    if (read === 0) break;
    filled += read;
  }
  return filled;
};
