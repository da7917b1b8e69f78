import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  renameSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { ErrnoError, getXattr, listXattrs, makeNode, nextData, setTimes, setXattr } from '../../native/index.ts';
import { joinPath, withTextPath } from './byte-path.ts';

/** Copied in one go where a file cannot be cloned and has holes, bytes. */
const CHUNK_BYTES = 1 << 20;

/** Bytes in a block of `st_blocks`. Source: stat(2). */
const BLOCK_BYTES = 512n;

/** Why a file system would not clone a file. */
const NOT_CLONED: ReadonlySet<string> = new Set(['EOPNOTSUPP', 'ENOTSUP', 'EINVAL', 'EXDEV', 'ENOTTY', 'ENOSYS']);

/**
 * Copies the tree `from` into the directory `to`, which must be there and is given what `from` itself has: owners,
 * modes, extended attributes, times to the nanosecond, device nodes, names of one file, holes. Where the file system can,
 * files share their blocks until one of them is written.
 */
export const copyTree = (from: string, to: string): void => {
  const copy = new TreeCopy(Buffer.from(`${to}.node`));
  const [source, target] = [Buffer.from(from), Buffer.from(to)];
  const about = lstatSync(source, { bigint: true });
  copy.entries(source, target);
  copyFacts(source, target, about);
};

class TreeCopy {
  /** A new node's name until it has its own, which may be no text. */
  readonly #nodePath: Buffer;
  /** Of files with several names: inode → the copy. */
  readonly #linked = new Map<string, Buffer>();
  #clones = true;

  constructor(nodePath: Buffer) {
    this.#nodePath = nodePath;
  }

  entries(from: Buffer, to: Buffer): void {
    for (const name of readdirSync(from, { encoding: 'buffer' })) {
      this.#entry(joinPath(from, name), joinPath(to, name));
    }
  }

  #entry(from: Buffer, to: Buffer): void {
    const about = lstatSync(from, { bigint: true });
    if (!about.isDirectory() && about.nlink > 1n) {
      const inode = `${about.dev}:${about.ino}`;
      const first = this.#linked.get(inode);
      if (first !== undefined) return linkSync(first, to);
      this.#linked.set(inode, to);
    }
    if (about.isDirectory()) {
      mkdirSync(to, 0o700);
      this.entries(from, to);
    } else if (about.isFile()) this.#file(from, to, about);
    else if (about.isSymbolicLink()) symlinkSync(readlinkSync(from, { encoding: 'buffer' }), to);
    else this.#node(to, about);
    // Last, because making what is in a directory changes the directory's time.
    copyFacts(from, to, about);
  }

  #file(from: Buffer, to: Buffer, about: BigIntStats): void {
    if (this.#clones && this.#clone(from, to)) return;
    if (about.blocks * BLOCK_BYTES < about.size) copyData(from, to, about);
    else copyFileSync(from, to, constants.COPYFILE_EXCL);
  }

  #clone(from: Buffer, to: Buffer): boolean {
    try {
      copyFileSync(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
      return true;
    } catch (error) {
      if (!NOT_CLONED.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
      this.#clones = false;
      return false;
    }
  }

  #node(to: Buffer, { mode, rdev }: BigIntStats): void {
    const { major, minor } = deviceNumbers(rdev);
    withTextPath(this.#nodePath, (path) => makeNode(path, { mode: Number(mode), major, minor }));
    renameSync(this.#nodePath, to);
  }
}

/** What is no hole, so that holes stay holes. */
const copyData = (from: Buffer, to: Buffer, { size }: BigIntStats): void => {
  const source = openSync(from, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const target = openSync(to, 'wx', 0o600);
    try {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      for (let data = nextData(source, 0); data !== undefined; data = nextData(source, data.end)) {
        for (let at = data.begin; at < data.end;) {
          const read = readSync(source, chunk, 0, Math.min(CHUNK_BYTES, data.end - at), at);
          if (read === 0) break; // it ends in the middle of a block
          writeWhole(target, chunk.subarray(0, read), at);
          at += read;
        }
      }
      ftruncateSync(target, Number(size));
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(source);
  }
};

const writeWhole = (fd: number, bytes: Buffer, position: number): void => {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, position + done);
};

/** In this order: a new owner takes setuid and capabilities away, a mode changes an access list, all change times. */
const copyFacts = (from: Buffer, to: Buffer, about: BigIntStats): void => {
  lchownSync(to, Number(about.uid), Number(about.gid));
  if (!about.isSymbolicLink()) chmodSync(to, Number(about.mode & 0o7777n));
  withTextPath(from, (source, follow) =>
    withTextPath(to, (target, followTarget) => {
      for (const name of attributesOf(source, follow)) {
        const value = getXattr(source, name, follow);
        if (value !== undefined) setXattr(target, name, value, followTarget);
      }
      setTimes(target, { atime: about.atimeNs, mtime: about.mtimeNs }, followTarget);
    }),
  );
};

/** A file system without attributes has none to copy. */
const attributesOf = (path: string, follow: { readonly noFollow: boolean }): string[] => {
  try {
    return listXattrs(path, follow);
  } catch (error) {
    if (error instanceof ErrnoError && ['EOPNOTSUPP', 'ENOTSUP'].includes(error.errnoName)) return [];
    throw error;
  }
};

/** As the C library packs both into one number. Source: makedev(3). */
const deviceNumbers = (device: bigint): { readonly major: number; readonly minor: number } => ({
  major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)),
  minor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
});
