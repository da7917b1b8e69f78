import { closeSync, constants } from 'node:fs';
import {
  getXattrBelow,
  type Inode,
  listDirectory,
  listXattrsBelow,
  openBelow,
  statBelow,
} from '../../../native/index.ts';

/** A directory that is walked; its files are named below it. */
export interface OpenDirectory {
  readonly fd: number;
}

/** Opens without following; undefined: there is no such directory, or something else is there. */
export const openDirectory = (parent: OpenDirectory, name: string): (OpenDirectory & Disposable) | undefined => {
  const about = statBelow(parent.fd, name);
  if (about === undefined || !isDirectory(about)) return undefined;
  const fd = openBelow(parent.fd, name, {
    flags: constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
    resolve: { beneath: true },
  });
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
};

/** In the order of their bytes. */
export const sortedNames = (directory: OpenDirectory): string[] =>
  listDirectory(directory.fd).sort((a, b) => (a < b ? -1 : 1));

/** What of an inode's attributes belongs into a layer: capabilities and users' own, nothing of this host or of overlayfs. */
export const layerXattrs = (directory: OpenDirectory, name: string): ReadonlyMap<string, Buffer> => {
  const found = new Map<string, Buffer>();
  for (const key of listXattrsBelow(directory.fd, name)) {
    if (key !== 'security.capability' && (!key.startsWith('user.') || key.startsWith('user.overlay.'))) continue;
    const value = getXattrBelow(directory.fd, name, key);
    if (value !== undefined) found.set(key, value);
  }
  return found;
};

export const typeOf = ({ mode }: Inode): number => mode & constants.S_IFMT;
export const isDirectory = (inode: Inode): boolean => typeOf(inode) === constants.S_IFDIR;
export const isFile = (inode: Inode): boolean => typeOf(inode) === constants.S_IFREG;
export const isSymlink = (inode: Inode): boolean => typeOf(inode) === constants.S_IFLNK;
export const isDevice = (inode: Inode): boolean =>
  typeOf(inode) === constants.S_IFCHR || typeOf(inode) === constants.S_IFBLK;
