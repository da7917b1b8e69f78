import type { Entry } from './entry.ts';
import { BLOCK, entryTypes, invalidHeader, META_BYTES_MAX, PAX_XATTR } from './format.ts';
import { escapeXattr, paxRecord } from './pax.ts';

/** What a header of 8 or 12 octal digits holds. */
const ID_MAX = 0o7777777;
const SIZE_MAX = 0o77777777777;
const SECOND = 1_000_000_000n;

/** An entry of a layer that we write: no sparse files, no time of access. */
export type WrittenEntry = Omit<Entry, 'extents' | 'atime'>;

/** The header blocks of an entry: ustar, after a PAX header for what that has no room for. The same entry gives the
 * same bytes. */
export const writeHeader = (entry: WrittenEntry): Buffer => {
  const records = paxRecords(entry);
  const header = ustarHeader(entry);
  if (records === '') return header;
  const body = Buffer.from(records, 'latin1');
  if (body.length > META_BYTES_MAX) throw invalidHeader();
  const pax = ustarHeader({
    ...entry,
    type: entryTypes.pax,
    name: `PaxHeaders.0/${basename(entry.name)}`,
    link: '',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: body.length,
    mtime: 0n,
    major: 0,
    minor: 0,
  });
  const padded = Buffer.alloc(Math.ceil(body.length / BLOCK) * BLOCK);
  body.copy(padded);
  return Buffer.concat([pax, padded, header]);
};

/** What ends an archive. */
export const archiveEnd = (): Buffer => Buffer.alloc(2 * BLOCK);

/** Sorted by key, so that the order in which a file system lists attributes does not show. */
const paxRecords = (entry: WrittenEntry): string => {
  const records = new Map<string, string>();
  if (splitName(entry.name) === undefined) records.set('path', entry.name);
  if (!isPlain(entry.link) || entry.link.length > 100) records.set('linkpath', entry.link);
  if (entry.uid > ID_MAX) records.set('uid', String(entry.uid));
  if (entry.gid > ID_MAX) records.set('gid', String(entry.gid));
  if (entry.size > SIZE_MAX) records.set('size', String(entry.size));
  if (entry.mtime < 0n || entry.mtime % SECOND !== 0n || entry.mtime / SECOND > BigInt(SIZE_MAX)) {
    records.set('mtime', paxTime(entry.mtime));
  }
  for (const [name, value] of entry.xattrs) records.set(PAX_XATTR + escapeXattr(name), value.toString('latin1'));
  return [...records]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => paxRecord(key, value))
    .join('');
};

const paxTime = (nanoseconds: bigint): string => {
  const magnitude = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  const fraction = String(magnitude % SECOND)
    .padStart(9, '0')
    .replace(/0+$/, '');
  const sign = nanoseconds < 0n ? '-' : '';
  return `${sign}${magnitude / SECOND}${fraction === '' ? '' : `.${fraction}`}`;
};

const ustarHeader = (entry: WrittenEntry): Buffer => {
  const block = Buffer.alloc(BLOCK);
  const { prefix, name } = splitName(entry.name) ?? { prefix: '', name: entry.name.slice(0, 100) };
  const seconds = entry.mtime < 0n ? 0n : entry.mtime / SECOND;
  block.write(name, 0, 100, 'latin1');
  octal(block, 100, { digits: 7, value: entry.mode });
  octal(block, 108, { digits: 7, value: entry.uid > ID_MAX ? 0 : entry.uid });
  octal(block, 116, { digits: 7, value: entry.gid > ID_MAX ? 0 : entry.gid });
  octal(block, 124, { digits: 11, value: entry.size > SIZE_MAX ? 0 : entry.size });
  octal(block, 136, { digits: 11, value: seconds > BigInt(SIZE_MAX) ? 0 : Number(seconds) });
  block.write(entry.type, 156, 'latin1');
  block.write(entry.link.slice(0, 100), 157, 100, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  octal(block, 329, { digits: 7, value: entry.major });
  octal(block, 337, { digits: 7, value: entry.minor });
  block.write(prefix, 345, 155, 'latin1');
  block.fill(' ', 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  octal(block, 148, { digits: 6, value: sum });
  return block;
};

const octal = (block: Buffer, at: number, field: { readonly digits: number; readonly value: number }): void => {
  block.write(`${field.value.toString(8).padStart(field.digits, '0')}\0`, at, 'latin1');
};

/** A name as ustar holds it: whole, or cut at a slash. undefined: it does not, or is not ASCII. */
const splitName = (name: string): { readonly prefix: string; readonly name: string } | undefined => {
  if (!isPlain(name)) return undefined;
  if (name.length <= 100) return { prefix: '', name };
  // The last slash may belong to the name: a directory's ends with one.
  const slash = name.indexOf('/', name.length - 101);
  if (slash <= 0 || slash > 155 || slash === name.length - 1) return undefined;
  return { prefix: name.slice(0, slash), name: name.slice(slash + 1) };
};

const isPlain = (text: string): boolean => /^[\x20-\x7e]*$/.test(text);

const basename = (path: string): string => {
  const name = path.replace(/\/+$/, '');
  return name
    .slice(name.lastIndexOf('/') + 1)
    .replace(/[^\x20-\x7e]/g, '_')
    .slice(0, 80);
};
