import { CodedError, codes } from '../../../common/errdefs.ts';

/** Everything in an archive is padded to blocks of this size, bytes. Source: pax(1), ustar interchange format. */
export const BLOCK = 512;

/** Largest PAX header, GNU long name or PAX sparse map, bytes: what one is read into memory for. As in Go's archive/tar. */
export const META_BYTES_MAX = 1 << 20;

/** Most extents of a sparse file. */
export const SPARSE_EXTENTS_MAX = 1 << 20;

/** Largest file, bytes: larger numbers are not exact, and no file system holds them. */
export const FILE_BYTES_MAX = Number.MAX_SAFE_INTEGER;

/** Names of attributes in PAX records, as star and GNU tar have them. */
export const PAX_XATTR = 'SCHILY.xattr.';

/** Types of an entry that mean something here; the byte itself is in the header. Source: pax(1), GNU tar. */
export const entryTypes = {
  file: '0',
  link: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
  paxGlobal: 'g',
  pax: 'x',
  gnuLongName: 'L',
  gnuLongLink: 'K',
  gnuSparse: 'S',
} as const;

/** The archive is not one, or is cut. Reads as Go's archive/tar says it, which clients of containerd know. */
export const archiveError = (reason: string): CodedError => new CodedError(codes.unknown, reason);

export const invalidHeader = (): CodedError => archiveError('archive/tar: invalid tar header');
export const fieldTooLong = (): CodedError => archiveError('archive/tar: header field too long');
export const unexpectedEnd = (): CodedError => archiveError('unexpected EOF');

/** Bytes of the zeros after `size` bytes that fill the last block. */
export const paddingOf = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;
