import { closeSync, constants, ftruncateSync, writeSync } from 'node:fs';
import { about, CodedError, codeOf, codes, invalidArgument, messageOf, unknownError } from '../../../common/errdefs.ts';
import {
  type Attributes,
  finishFile,
  linkBelow,
  makeDirectoryBelow,
  makeNodeBelow,
  openBelow,
  setInodeBelow,
  setXattrBelow,
  statBelow,
  symlinkBelow,
  writeFileBelow,
} from '../../../native/index.ts';
import type { Entry, Extent } from '../tar/entry.ts';
import { entryTypes } from '../tar/format.ts';
import type { EntrySink } from '../tar/reader.ts';
import { Directories, type Directory, IMPLICIT_MODE, isErrno } from './directories.ts';
import { Brought, type Hiding, markingForOverlay, removing } from './hiding.ts';
import { copyDirectoryAttributes } from './inherit.ts';
import { meaningOf, type Place, placeOf } from './names.ts';
import { removeTree } from './remove-tree.ts';

export interface UnpackOptions {
  /** The directory that becomes the layer's place. */
  readonly rootFd: number;
  /**
   * Where the layer's whiteouts are to hide files of layers that are not in this directory: it is an overlay's upper
   * directory, and these are its lower ones, uppermost first. undefined: everything is in the directory.
   */
  readonly lowerFds: readonly number[] | undefined;
  /** false: devices are left out, as inside a user namespace, where nobody may make them. */
  readonly devices: boolean;
}

/** Larger files are written piece by piece, bytes. */
const WHOLE_FILE_BYTES_MAX = 1 << 20;
/** Times that containerd takes over; others become 0. Source: its boundTime. */
const TIME_MAX = 2n ** 63n - 1n;
const ID_MAX = 0xffff_fffe;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * Puts a layer's entries into a directory. Every path is resolved below it (directories.ts), and the entry itself is
 * made by its name in a directory that is open: nothing that a layer says, or that is swapped meanwhile, leads out.
 */
export class Unpacker implements EntrySink, Disposable {
  readonly #options: UnpackOptions;
  readonly #brought = new Brought();
  readonly #hiding: Hiding;
  readonly #directories: Directories;
  /** Times are set last: what is put into a directory changes them. */
  readonly #directoryTimes: { readonly place: Place; readonly attributes: Attributes }[] = [];
  #file: OpenFile | undefined;
  /** Of the entry that is under way. */
  #name = '';

  constructor(options: UnpackOptions) {
    this.#options = options;
    const { rootFd, lowerFds } = options;
    this.#hiding =
      lowerFds === undefined ? removing(this.#brought) : markingForOverlay(this.#brought, { rootFd, lowerFds });
    this.#directories = new Directories(options.rootFd, (path, { parent, name }) => {
      this.#brought.add(parent, name);
      this.#hiding.madeDirectory(parent, name);
      const now = BigInt(Date.now()) * 1_000_000n;
      setInodeBelow(parent.fd, name, { uid: 0, gid: 0, mode: IMPLICIT_MODE, atime: now, mtime: now });
      copyDirectoryAttributes(options.lowerFds ?? [], path, { directoryFd: parent.fd, name });
    });
  }

  entry(entry: Entry): void {
    this.#name = entry.name;
    this.#named(() => this.#entry(entry));
  }

  data(bytes: Buffer): void {
    const file = this.#file;
    if (file !== undefined) this.#named(() => file.write(bytes));
  }

  end(): void {
    const file = this.#file;
    this.#file = undefined;
    if (file !== undefined) this.#named(() => file.finish());
  }

  /** The layer is whole. */
  finish(): void {
    this.#hiding.finish();
    for (const { place, attributes } of this.#directoryTimes) {
      const directory = this.#directories.open(place.directory);
      const there = statBelow(directory.fd, place.name);
      // A later entry may have put something else there.
      if (there === undefined || typeOf(there.mode) !== constants.S_IFDIR) continue;
      const { uid, gid, mode } = there;
      setInodeBelow(directory.fd, place.name, { ...attributes, uid, gid, mode: mode & 0o7777 });
    }
  }

  /** What is half written stays as it is, but no descriptor stays open. */
  [Symbol.dispose](): void {
    this.#file?.close();
    this.#directories[Symbol.dispose]();
  }

  /** An error says which entry it is about. NotFound and the like would be taken for an answer about the layer. */
  #named(act: () => void): void {
    try {
      act();
    } catch (error) {
      const message = `${Buffer.from(this.#name, 'latin1').toString()}: ${messageOf(error)}`;
      throw codeOf(error) === codes.resourceExhausted
        ? new CodedError(codes.resourceExhausted, message, { cause: error })
        : unknownError(message, { cause: error });
    }
  }

  #entry(entry: Entry): void {
    const place = placeOf(entry.name);
    if (place === undefined) return; // the root itself: as containerd, its attributes are not touched
    if (isDevice(entry) && !this.#options.devices) return;
    const meaning = meaningOf(place.name);
    const directory = this.#directories.make(place.directory);
    if (meaning.kind === 'opaque') return this.#hide(() => this.#hiding.hideAll(directory));
    if (meaning.kind === 'whiteout') {
      return this.#hide(() => this.#hiding.hide(directory, meaning.hidden, ownerOf(entry)));
    }
    this.#create(entry, { place, directory });
    this.#brought.add(directory, place.name);
  }

  #hide(act: () => void): void {
    act();
    this.#directories.forget();
  }

  #create(entry: Entry, { place, directory }: { readonly place: Place; readonly directory: Directory }): void {
    const attributes = attributesOf(entry);
    const { fd } = directory;
    const { name } = place;
    const there = statBelow(fd, name);
    const stays = there !== undefined && entry.type === entryTypes.directory && isDirectory(there.mode);
    if (there !== undefined && !stays) {
      removeTree(fd, name);
      // A path through what was there leads elsewhere now; this directory itself stays the one it is.
      if (!isPlain(there.mode)) this.#directories.forget();
    }
    const inside =
      there !== undefined && !stays && !isPlain(there.mode) ? this.#directories.make(place.directory) : directory;
    this.#make(entry, { directory: inside, name, attributes, stays });
    if (entry.type === entryTypes.directory) this.#directoryTimes.push({ place, attributes });
  }

  #make(
    entry: Entry,
    to: {
      readonly directory: Directory;
      readonly name: string;
      readonly attributes: Attributes;
      readonly stays: boolean;
    },
  ): void {
    const { directory, name, attributes } = to;
    const { fd } = directory;
    switch (entry.type) {
      case entryTypes.file:
        this.#file = openFile(entry, { directoryFd: fd, name, attributes });
        return;
      case entryTypes.directory:
        if (!to.stays) {
          makeDirectoryBelow(fd, name, attributes.mode);
          this.#hiding.madeDirectory(directory, name);
        }
        break;
      case entryTypes.symlink:
        symlinkBelow(entry.link, fd, name);
        break;
      case entryTypes.link:
        this.#link(entry.link, { fd, name });
        break;
      case entryTypes.character:
      case entryTypes.block:
      case entryTypes.fifo:
        makeNodeBelow(fd, name, {
          mode: nodeTypes[entry.type] | attributes.mode,
          major: entry.major,
          minor: entry.minor,
        });
        break;
      default:
        throw unknownError(`unhandled tar header type ${entry.type.charCodeAt(0)}`);
    }
    setInodeBelow(fd, name, attributes);
    setXattrs(entry, fd, name);
  }

  /** Of a path of the archive, below the root as well; the last part is not followed: a link to a symlink is one. */
  #link(target: string, { fd, name }: { readonly fd: number; readonly name: string }): void {
    const place = placeOf(target);
    if (place === undefined) throw unknownError(`invalid hard link to ${JSON.stringify(target)}: invalid archive`);
    // Another cache than the one that the new name's directory is kept in.
    using directories = new Directories(this.#options.rootFd, () => undefined);
    linkBelow(directories.open(place.directory).fd, place.name, fd, name);
  }
}

/** A file whose data are still to come. */
interface OpenFile {
  write(bytes: Buffer): void;
  finish(): void;
  close(): void;
}

interface FilePlace {
  readonly directoryFd: number;
  readonly name: string;
  readonly attributes: Attributes;
}

const openFile = (entry: Entry, place: FilePlace): OpenFile => {
  const { directoryFd, name, attributes } = place;
  if (entry.extents !== undefined || entry.size > WHOLE_FILE_BYTES_MAX) return openLargeFile(entry, place);
  // The directory stays open: nothing comes between an entry and its end.
  let pieces: Buffer | undefined;
  let filled = 0;
  const create = (data: Buffer): void => {
    writeFileBelow(directoryFd, name, attributes, data);
    setXattrs(entry, directoryFd, name);
  };
  let done = false;
  return {
    write: (bytes) => {
      if (pieces === undefined && bytes.length === entry.size) {
        create(bytes);
        done = true;
        return;
      }
      pieces ??= Buffer.allocUnsafe(entry.size);
      filled += bytes.copy(pieces, filled);
    },
    finish: () => {
      if (!done) create(pieces?.subarray(0, filled) ?? Buffer.alloc(0));
    },
    close: () => undefined,
  };
};

/** Larger than a piece, or with holes. */
const openLargeFile = (entry: Entry, { directoryFd, name, attributes }: FilePlace): OpenFile => {
  const fd = openBelow(directoryFd, name, { flags: NEW_FILE, mode: 0o600, resolve: { beneath: true } });
  const extents: readonly Extent[] = entry.extents ?? [{ offset: 0, length: entry.size }];
  let current = 0;
  let written = 0;
  const close = (): void => closeSync(fd);
  return {
    write: (bytes) => {
      for (let at = 0; at < bytes.length;) {
        const extent = extents[current];
        if (extent === undefined) return;
        const length = Math.min(bytes.length - at, extent.length - written);
        if (length > 0) written += writeSync(fd, bytes, at, length, extent.offset + written);
        at += length;
        if (written === extent.length) {
          current += 1;
          written = 0;
        }
      }
    },
    finish: () => {
      try {
        if (entry.extents !== undefined) ftruncateSync(fd, entry.size);
        finishFile(fd, attributes);
      } finally {
        close();
      }
      setXattrs(entry, directoryFd, name);
    },
    close,
  };
};

const setXattrs = (entry: Entry, directoryFd: number, name: string): void => {
  for (const [key, value] of entry.xattrs) {
    if (isReserved(key)) continue;
    try {
      setXattrBelow(directoryFd, name, key, value);
    } catch (error) {
      if (isErrno(error, 'EOPNOTSUPP')) continue; // not on this file system
      // The kernel has user attributes on files and directories only.
      if (isErrno(error, 'EPERM') && key.startsWith('user.') && !isFileOrDirectory(entry)) continue;
      throw about(`failed to setxattr ${JSON.stringify(key)}`, error);
    }
  }
};

/** A layer must not steer overlayfs, nor set what is the administrator's. */
const isReserved = (key: string): boolean => key.startsWith('trusted.') || key.startsWith('user.overlay.');

const isFileOrDirectory = ({ type }: Entry): boolean => type === entryTypes.file || type === entryTypes.directory;

const isDevice = ({ type }: Entry): boolean => type === entryTypes.character || type === entryTypes.block;

const nodeTypes = {
  [entryTypes.character]: constants.S_IFCHR,
  [entryTypes.block]: constants.S_IFBLK,
  [entryTypes.fifo]: constants.S_IFIFO,
} as const;

const typeOf = (mode: number): number => mode & constants.S_IFMT;
const isDirectory = (mode: number): boolean => typeOf(mode) === constants.S_IFDIR;
/** No path leads through it. */
const isPlain = (mode: number): boolean => !isDirectory(mode) && typeOf(mode) !== constants.S_IFLNK;

/** The kernel takes an id of all ones for "leave it as it is". */
const ownerOf = ({ uid, gid }: Entry): { readonly uid: number; readonly gid: number } => {
  if (uid > ID_MAX || gid > ID_MAX) throw invalidArgument(`owner ${uid}:${gid} is out of range`);
  return { uid, gid };
};

const attributesOf = (entry: Entry): Attributes => {
  const mtime = bounded(entry.mtime);
  const atime = entry.atime === undefined ? mtime : bounded(entry.atime);
  return { ...ownerOf(entry), mode: entry.mode, mtime, atime: atime > mtime ? atime : mtime };
};

const bounded = (time: bigint): bigint => (time < 0n || time > TIME_MAX ? 0n : time);
