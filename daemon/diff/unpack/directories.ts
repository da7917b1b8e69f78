import { closeSync, constants } from 'node:fs';
import { ErrnoError, makeDirectoryBelow, openBelow, readLinkBelow, statBelow } from '../../../native/index.ts';
import { CodedError, codes } from '../../../common/errdefs.ts';

/** O_PATH is missing from Node's constants. Source: fcntl.h, the same on x86-64 and arm64. */
const O_PATH = 0o10000000;
export const OPEN_DIRECTORY = O_PATH | constants.O_DIRECTORY;
/** Symlinks to directories that do not exist yet, in one path. As in the kernel: MAXSYMLINKS. */
const LINKS_MAX = 40;
/** Permissions of a directory that an archive needs and does not bring. */
export const IMPLICIT_MODE = 0o755;

/** A directory that is open, and known again by its device and inode. */
export interface Directory {
  readonly fd: number;
  readonly key: string;
}

/**
 * Opens directories below a root, which no path leaves: openat2 resolves `..`, absolute names and symlinks as if the
 * root were `/`, also when something is swapped meanwhile. Keeps the last one open, because entries come by directory.
 */
export class Directories implements Disposable {
  readonly #root: number;
  /** Told of each directory that had to be made, before anything is in it. */
  readonly #onMade: (path: string, made: { readonly parent: Directory; readonly name: string }) => void;
  #last: (Directory & { readonly path: string }) | undefined;

  constructor(
    rootFd: number,
    onMade: (path: string, made: { readonly parent: Directory; readonly name: string }) => void,
  ) {
    this.#root = rootFd;
    this.#onMade = onMade;
  }

  /** The directory is made, with those above it, where it is missing. Valid until the next call. */
  make(path: string): Directory {
    if (this.#last?.path === path) return this.#last;
    const fd = this.#ensure(path, LINKS_MAX);
    return this.#keep(path, fd);
  }

  /** NotFound: there is no such directory. */
  open(path: string): Directory {
    if (this.#last?.path === path) return this.#last;
    return this.#keep(path, this.#openNow(path));
  }

  /** To be called when a directory or a symlink has been removed or made: a path may lead elsewhere now. */
  forget(): void {
    if (this.#last === undefined) return;
    closeSync(this.#last.fd);
    this.#last = undefined;
  }

  [Symbol.dispose](): void {
    this.forget();
  }

  #keep(path: string, fd: number): Directory {
    this.forget();
    this.#last = { path, fd, key: keyOf(fd) };
    return this.#last;
  }

  #openNow(path: string): number {
    return openBelow(this.#root, path === '' ? '.' : path, {
      flags: OPEN_DIRECTORY,
      resolve: { inRoot: true, noMagicLinks: true },
    });
  }

  /** A symlink to what is not there yet is followed, below the root, and what it leads to is made. */
  #ensure(path: string, links: number): number {
    try {
      return this.#openNow(path);
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw subject(path, error);
    }
    const slash = path.lastIndexOf('/');
    const [above, name] = [path.slice(0, Math.max(slash, 0)), path.slice(slash + 1)];
    const parent = this.#ensure(above, links);
    try {
      if (name === '' || name === '.' || name === '..') return this.#openNow(path);
      const there = statBelow(parent, name);
      if (there === undefined) {
        makeDirectoryBelow(parent, name, IMPLICIT_MODE);
        this.#onMade(path, { parent: { fd: parent, key: keyOf(parent) }, name });
      } else if ((there.mode & constants.S_IFMT) === constants.S_IFLNK) {
        if (links === 0) throw new CodedError(codes.unknown, `mkparent ${path}: too many levels of symbolic links`);
        const target = readLinkBelow(parent, name);
        return this.#ensure(target.startsWith('/') ? target : `${above}/${target}`, links - 1);
      }
      return this.#openNow(path);
    } finally {
      closeSync(parent);
    }
  }
}

export const keyOf = (fd: number): string => {
  const about = statBelow(fd, '');
  return about === undefined ? '' : `${about.device}:${about.inode}`;
};

export const isErrno = (error: unknown, name: string): boolean =>
  error instanceof ErrnoError && error.errnoName === name;

const subject = (path: string, error: unknown): Error =>
  isErrno(error, 'ENOTDIR')
    ? new CodedError(codes.unknown, `mkparent ${path}: not a directory`, { cause: error })
    : (error as Error);
