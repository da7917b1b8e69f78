import { FILE_BYTES_MAX, invalidHeader } from './format.ts';

const SPACE = 0x20;
const NEWLINE = 0x0a;
const EQUALS = 0x3d;

/** Records whose values may not hold NUL, because they become names. */
const NAMES: ReadonlySet<string> = new Set(['path', 'linkpath', 'uname', 'gname', 'GNU.sparse.name']);

/** A PAX header's records. Values are bytes ('latin1'); of a key that comes twice the last counts, but of GNU's sparse
 * maps of version 0.0, which are made of repeated pairs, all. */
export interface PaxRecords {
  readonly values: ReadonlyMap<string, string>;
  /** Offset and length in turn. */
  readonly sparsePairs: readonly string[];
}

/** Records are `<length of all of it> <key>=<value>\n`. */
export const parsePax = (data: Buffer): PaxRecords => {
  const values = new Map<string, string>();
  const sparsePairs: string[] = [];
  for (let at = 0; at < data.length;) {
    const space = data.indexOf(SPACE, at);
    if (space <= at || space - at > 10) throw invalidHeader();
    const length = parseDecimal(data.toString('latin1', at, space));
    const end = at + length;
    const equals = data.indexOf(EQUALS, space + 1);
    if (length < 5 || end > data.length || data[end - 1] !== NEWLINE || equals === -1 || equals >= end - 1) {
      throw invalidHeader();
    }
    const key = data.toString('latin1', space + 1, equals);
    const value = data.toString('latin1', equals + 1, end - 1);
    if (key === '' || key.includes('\0') || (NAMES.has(key) && value.includes('\0'))) throw invalidHeader();
    if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') {
      if ((sparsePairs.length % 2 === 0) !== (key === 'GNU.sparse.offset')) throw invalidHeader();
      sparsePairs.push(value);
    } else values.set(key, value);
    at = end;
  }
  return { values, sparsePairs };
};

/** Of digits only; what is no exact number is refused. */
export const parseDecimal = (text: string): number => {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= FILE_BYTES_MAX)) throw invalidHeader();
  return value;
};

/** `-12.5` in nanoseconds; digits beyond the ninth are cut off. */
export const parsePaxTime = (text: string): bigint => {
  const match = /^(-?)(\d{1,19})(?:\.(\d*))?$/.exec(text);
  if (match === null) throw invalidHeader();
  const [, sign, seconds = '0', fraction = ''] = match;
  const nanoseconds = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  return sign === '-' ? -nanoseconds : nanoseconds;
};

/** One record, whose length counts its own digits. */
export const paxRecord = (key: string, value: string): string => {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
};

/** An attribute's name as part of a key, in which `=` would end it: escaped as GNU tar does. */
export const escapeXattr = (name: string): string => name.replaceAll('%', '%25').replaceAll('=', '%3D');

export const unescapeXattr = (key: string): string => key.replaceAll('%3D', '=').replaceAll('%25', '%');
