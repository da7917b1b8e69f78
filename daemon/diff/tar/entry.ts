/** Bytes of a sparse file that are not a hole. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

/**
 * One member of an archive, with what its extended headers say of it. Names and attributes are strings of bytes
 * ('latin1'): an archive does not say in what encoding they are.
 */
export interface Entry {
  /** One character, as in the header; `0` for every plain file, sparse ones too. */
  readonly type: string;
  /** As it is in the archive: may be absolute, hold `..` or end with a slash. */
  readonly name: string;
  /** Target of a link. */
  readonly link: string;
  /** Permissions: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of the file when it is unpacked, bytes; 0 for what is no plain file. */
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  /** undefined: the archive does not say. */
  readonly atime: bigint | undefined;
  /** Of a device. */
  readonly major: number;
  readonly minor: number;
  readonly xattrs: ReadonlyMap<string, Buffer>;
  /** The data in the archive are these parts of the file, in order; undefined: the file is not sparse. */
  readonly extents: readonly Extent[] | undefined;
}
