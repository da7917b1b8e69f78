import type { Entry, Extent } from './entry.ts';
import { BLOCK, entryTypes, invalidHeader, PAX_XATTR } from './format.ts';
import { parseNumber, parseSeconds } from './number.ts';
import { parseDecimal, parsePaxTime, type PaxRecords, unescapeXattr } from './pax.ts';

/** One header block as it is. */
export interface Header {
  readonly type: string;
  readonly name: string;
  readonly link: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes that follow in the archive. */
  readonly size: number;
  readonly mtime: bigint;
  readonly major: number;
  readonly minor: number;
  /** Only of GNU's old sparse type. */
  readonly sparse:
    | { readonly extents: readonly Extent[]; readonly more: boolean; readonly realSize: number }
    | undefined;
}

/** What PAX and GNU headers before an entry say of it. */
export interface Extensions {
  readonly pax: PaxRecords | undefined;
  readonly longName: string | undefined;
  readonly longLink: string | undefined;
}

/** undefined: a block of zeros, which ends an archive. */
export const parseHeader = (block: Buffer): Header | undefined => {
  const stored = checksums(block);
  if (stored === undefined) return undefined;
  const magic = block.toString('latin1', 257, 265);
  const type = block.toString('latin1', 156, 157);
  const isGnu = magic === 'ustar  \0';
  const isUstar = magic.startsWith('ustar\0');
  const prefix = isUstar ? text(block, 345, 155) : '';
  const name = text(block, 0, 100);
  const known = isGnu || isUstar; // the first tar had no device numbers there
  return {
    type: type === '\0' ? (name.endsWith('/') ? entryTypes.directory : entryTypes.file) : type,
    name: prefix === '' ? name : `${prefix}/${name}`,
    link: text(block, 157, 100),
    mode: parseNumber(block, 100, 8) & 0o7777,
    uid: parseNumber(block, 108, 8),
    gid: parseNumber(block, 116, 8),
    size: parseNumber(block, 124, 12),
    mtime: parseSeconds(block, 136, 12) * 1_000_000_000n,
    major: known ? parseNumber(block, 329, 8) : 0,
    minor: known ? parseNumber(block, 337, 8) : 0,
    sparse:
      isGnu && type === entryTypes.gnuSparse
        ? {
            extents: parseExtents(block, 386, 4),
            more: block[482] !== 0,
            realSize: parseNumber(block, 483, 12),
          }
        : undefined,
  };
};

/** GNU's map, up to `count` pairs; the first that is empty ends it. */
export const parseExtents = (block: Buffer, at: number, count: number): Extent[] => {
  const extents: Extent[] = [];
  for (let index = 0; index < count; index += 1) {
    const place = at + index * 24;
    if (block[place] === 0) break;
    extents.push({ offset: parseNumber(block, place, 12), length: parseNumber(block, place + 12, 12) });
  }
  return extents;
};

/** The header and what was said before it, as one. `extents` are found by the reader. */
export const makeEntry = (
  header: Header,
  { pax, longName, longLink }: Extensions,
  sparse?: { readonly extents: readonly Extent[]; readonly realSize: number },
): Entry => {
  const values = pax?.values ?? new Map<string, string>();
  const number = (key: string, otherwise: number): number => {
    const value = values.get(key);
    return value === undefined || value === '' ? otherwise : parseDecimal(value);
  };
  const time = (key: string): bigint | undefined => {
    const value = values.get(key);
    return value === undefined || value === '' ? undefined : parsePaxTime(value);
  };
  const name = named(values.get('GNU.sparse.name')) ?? named(values.get('path')) ?? longName ?? header.name;
  const isFile = header.type === entryTypes.file || header.type === entryTypes.gnuSparse;
  return {
    type: isFile ? entryTypes.file : header.type,
    name,
    link: named(values.get('linkpath')) ?? longLink ?? header.link,
    mode: header.mode,
    uid: number('uid', header.uid),
    gid: number('gid', header.gid),
    size: isFile ? (sparse?.realSize ?? sizeOf(header, pax)) : 0,
    mtime: time('mtime') ?? header.mtime,
    atime: time('atime'),
    major: header.major,
    minor: header.minor,
    xattrs: xattrsOf(values),
    extents: sparse?.extents,
  };
};

/** An empty PAX value takes back what a global header said. */
const named = (value: string | undefined): string | undefined => (value === '' ? undefined : value);

/** Bytes that follow an entry's header in the archive. */
export const sizeOf = (header: Header, pax: PaxRecords | undefined): number => {
  const size = pax?.values.get('size');
  return size === undefined || size === '' ? header.size : parseDecimal(size);
};

const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();

const xattrsOf = (values: ReadonlyMap<string, string>): ReadonlyMap<string, Buffer> => {
  let found: Map<string, Buffer> | undefined;
  for (const [key, value] of values) {
    if (!key.startsWith(PAX_XATTR)) continue;
    found ??= new Map();
    found.set(unescapeXattr(key.slice(PAX_XATTR.length)), Buffer.from(value, 'latin1'));
  }
  return found ?? NO_XATTRS;
};

/** Up to the first NUL. */
const text = (block: Buffer, at: number, length: number): string => {
  const nul = block.indexOf(0, at);
  return block.toString('latin1', at, nul === -1 || nul > at + length ? at + length : nul);
};

/** Compares the sum of the bytes with the one that is stored; some old programs summed signed bytes. */
const checksums = (block: Buffer): true | undefined => {
  let sum = 0;
  let signed = 0;
  let any = 0;
  for (let index = 0; index < BLOCK; index += 1) {
    const byte = index >= 148 && index < 156 ? SPACE : block[index]!;
    any |= block[index]!;
    sum += byte;
    signed += byte < 0x80 ? byte : byte - 0x100;
  }
  if (any === 0) return undefined;
  const stored = parseNumber(block, 148, 8);
  if (stored !== sum && stored !== signed) throw invalidHeader();
  return true;
};

const SPACE = 0x20;
