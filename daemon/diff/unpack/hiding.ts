import { closeSync, constants } from 'node:fs';
import {
  listDirectory,
  makeNodeBelow,
  openBelow,
  setInodeBelow,
  setXattrBelow,
  statBelow,
} from '../../../native/index.ts';
import { OVERLAY_OPAQUE } from '../whiteouts.ts';
import { type Directory, keyOf } from './directories.ts';
import { OPEN_REAL_DIRECTORY, removeTree } from './remove-tree.ts';

/** What this layer has brought: whiteouts hide only what was there before. Names by directory. */
export class Brought {
  readonly #names = new Map<string, Set<string>>();

  add(directory: Directory, name: string): void {
    const names = this.#names.get(directory.key);
    if (names === undefined) this.#names.set(directory.key, new Set([name]));
    else names.add(name);
  }

  has(directory: Directory, name: string): boolean {
    return this.#names.get(directory.key)?.has(name) ?? false;
  }
}

/** Makes what a layer's whiteouts say true of a tree. */
export interface Hiding {
  /** Of an entry. */
  hide(directory: Directory, name: string, owner: { readonly uid: number; readonly gid: number }): void;
  /** Of all that layers below have in a directory. */
  hideAll(directory: Directory): void;
  /** A directory has been made in the place of what was `hidden` in this layer already, or never was. */
  madeDirectory(directory: Directory, name: string): void;
  /** After the last entry. */
  finish(): void;
}

/** On a directory that holds everything: what is hidden is removed. */
export const removing = (brought: Brought): Hiding => {
  const hideAll = (directory: Directory): void => {
    for (const name of listDirectory(directory.fd)) {
      if (brought.has(directory, name)) clearInside(directory, name);
      else removeTree(directory.fd, name);
    }
  };
  const clearInside = (directory: Directory, name: string): void => {
    const about = statBelow(directory.fd, name);
    if (about === undefined || (about.mode & constants.S_IFMT) !== constants.S_IFDIR) return;
    const fd = openBelow(directory.fd, name, { flags: OPEN_REAL_DIRECTORY, resolve: { beneath: true } });
    try {
      hideAll({ fd, key: keyOf(fd) });
    } finally {
      closeSync(fd);
    }
  };
  return {
    hide: (directory, name) => {
      if (brought.has(directory, name)) clearInside(directory, name);
      else removeTree(directory.fd, name);
    },
    hideAll,
    madeDirectory: () => undefined,
    finish: () => undefined,
  };
};

/**
 * On an overlay's upper directory, which holds only the layer: what is hidden is marked as overlayfs wants it, a device
 * 0:0 for an entry, an attribute for a directory.
 */
export const markingForOverlay = (
  brought: Brought,
  { rootFd, lowerFds }: { readonly rootFd: number; readonly lowerFds: readonly number[] },
): Hiding => {
  const hidden = new Brought();
  const root: Directory = { fd: rootFd, key: keyOf(rootFd) };
  let allOfRoot = false;
  return {
    hide: (directory, name, owner) => {
      hidden.add(directory, name);
      const there = statBelow(directory.fd, name);
      if (there !== undefined && brought.has(directory, name)) {
        if ((there.mode & constants.S_IFMT) === constants.S_IFDIR) opaque(directory, name);
        return;
      }
      if (there !== undefined) removeTree(directory.fd, name);
      makeWhiteout(directory, name, owner);
    },
    hideAll: (directory) => {
      if (directory.key === root.key) allOfRoot = true;
      else opaque(directory, '');
    },
    // Without the mark, the directory of that name below would show through where the device was.
    madeDirectory: (directory, name) => {
      if (hidden.has(directory, name)) opaque(directory, name);
    },
    // overlayfs takes no such mark on the root of a layer, so each entry below it gets its own.
    finish: () => {
      if (!allOfRoot) return;
      for (const name of new Set(lowerFds.flatMap((fd) => listDirectory(fd)))) {
        const there = statBelow(rootFd, name);
        if (there === undefined) makeWhiteout(root, name, { uid: 0, gid: 0 });
        else if ((there.mode & constants.S_IFMT) === constants.S_IFDIR) opaque(root, name);
      }
    },
  };
};

const makeWhiteout = (
  directory: Directory,
  name: string,
  owner: { readonly uid: number; readonly gid: number },
): void => {
  makeNodeBelow(directory.fd, name, { mode: constants.S_IFCHR, major: 0, minor: 0 });
  setInodeBelow(directory.fd, name, { ...owner, mode: 0, atime: 0n, mtime: 0n });
};

const opaque = (directory: Directory, name: string): void =>
  setXattrBelow(directory.fd, name, OVERLAY_OPAQUE, Buffer.from('y'));
