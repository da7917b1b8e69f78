import { constants } from 'node:fs';
import { failedPrecondition } from '../../../common/errdefs.ts';
import { getXattrBelow, type Inode, statBelow } from '../../../native/index.ts';
import { OVERLAY_OPAQUE, WHITEOUT_PREFIX } from '../whiteouts.ts';
import { isSame, type Side } from './same.ts';
import { isDirectory, isFile, type OpenDirectory, openDirectory, sortedNames, typeOf } from './tree.ts';

/** One thing that a layer is to say. Paths are below the root, without a slash at either end. */
export type Change =
  | { readonly kind: 'written'; readonly path: string; readonly inode: Inode }
  /** Of a hard link to what has not changed, which counts only if another name of it is written. */
  | { readonly kind: 'unchanged-link'; readonly path: string; readonly inode: Inode }
  | { readonly kind: 'whiteout'; readonly path: string }
  /** Everything that is below in this directory is gone. */
  | { readonly kind: 'opaque'; readonly path: string };

export interface Trees {
  readonly lower: OpenDirectory;
  readonly upper: OpenDirectory;
  /** upper holds only changes, as overlayfs marks them. */
  readonly overlay: boolean;
  /** Throws when the comparison is to end. */
  readonly check: () => void;
}

/**
 * What upper has and lower has not, in the order of a layer: a directory before what is in it, names sorted by their
 * bytes. 'whole-tree': see jobs.ts.
 */
export const findChanges = (trees: Trees): readonly Change[] | 'whole-tree' => {
  const changes: Change[] = [];
  try {
    walk(trees, '', changes);
  } catch (error) {
    if (error === WHOLE_TREE) return 'whole-tree';
    throw error;
  }
  return changes;
};

interface Pair extends Omit<Trees, 'lower'> {
  /** undefined: there is nothing below to compare with. */
  readonly lower: OpenDirectory | undefined;
}

const WHOLE_TREE = new Error('the overlay holds more than changes');

/** Attributes by which overlayfs says that data or entries are elsewhere. */
const ELSEWHERE = ['trusted.overlay.redirect', 'trusted.overlay.metacopy', 'trusted.overlay.whiteout'] as const;

const walk = (pair: Pair, path: string, changes: Change[]): void => {
  const { lower, upper, overlay } = pair;
  const names = new Set(sortedNames(upper));
  const gone = lower === undefined || overlay ? [] : sortedNames(lower).filter((name) => !names.has(name));
  for (const name of [...names, ...gone].sort((a, b) => (a < b ? -1 : 1))) {
    pair.check();
    const below = path === '' ? name : `${path}/${name}`;
    const inode = statBelow(upper.fd, name);
    const old = lower === undefined ? undefined : statBelow(lower.fd, name);
    if (inode === undefined || (overlay && isOverlayWhiteout(inode))) {
      if (old !== undefined) changes.push({ kind: 'whiteout', path: below });
      continue;
    }
    if (typeOf(inode) === constants.S_IFSOCK) continue; // no archive holds one
    if (name.startsWith(WHITEOUT_PREFIX)) {
      throw failedPrecondition(`${below}: a layer cannot hold a name that begins with ${WHITEOUT_PREFIX}`);
    }
    if (overlay) refuseElsewhere(upper, name, inode);
    entry(pair, { name, path: below, inode, old }, changes);
  }
};

const entry = (
  pair: Pair,
  at: { readonly name: string; readonly path: string; readonly inode: Inode; readonly old: Inode | undefined },
  changes: Change[],
): void => {
  const { lower, upper, overlay } = pair;
  const { name, path, inode, old } = at;
  const side: Side = { directory: upper, name, inode };
  const same = lower !== undefined && old !== undefined && isSame({ directory: lower, name, inode: old }, side);
  if (!isDirectory(inode)) {
    if (!same) changes.push({ kind: 'written', path, inode });
    else if (isFile(inode) && inode.links > 1) changes.push({ kind: 'unchanged-link', path, inode });
    return;
  }
  const opaque = overlay && String(getXattrBelow(upper.fd, name, OVERLAY_OPAQUE) ?? '') === 'y';
  const before = changes.length;
  if (!same || (opaque && old !== undefined)) changes.push({ kind: 'written', path, inode });
  if (opaque && old !== undefined && isDirectory(old)) changes.push({ kind: 'opaque', path });
  using inside = openDirectory(upper, name);
  using under = lower === undefined || opaque ? undefined : openDirectory(lower, name);
  if (inside === undefined) return;
  const first = changes.length;
  walk({ ...pair, upper: inside, lower: under }, path, changes);
  // What is in a directory brings the directory along, so that the layer can be unpacked by itself.
  if (first === before && changes.slice(first).some(isSaid)) changes.splice(first, 0, { kind: 'written', path, inode });
};

const isSaid = ({ kind }: Change): boolean => kind !== 'unchanged-link';

const isOverlayWhiteout = (inode: Inode): boolean =>
  typeOf(inode) === constants.S_IFCHR && inode.major === 0 && inode.minor === 0;

const refuseElsewhere = (directory: OpenDirectory, name: string, inode: Inode): void => {
  if (!isFile(inode) && !isDirectory(inode)) return;
  for (const key of ELSEWHERE) if (getXattrBelow(directory.fd, name, key) !== undefined) throw WHOLE_TREE;
  const opaque = String(getXattrBelow(directory.fd, name, OVERLAY_OPAQUE) ?? '');
  if (opaque === 'x') throw WHOLE_TREE;
};
