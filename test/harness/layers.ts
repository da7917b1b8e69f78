import { entryTypes } from '../../daemon/diff/tar/format.ts';
import { archiveEnd, writeHeader, type WrittenEntry } from '../../daemon/diff/tar/writer.ts';

/** What of an entry a test does not say. */
const plain: WrittenEntry = {
  type: entryTypes.file,
  name: '',
  link: '',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 1_000_000_000n,
  major: 0,
  minor: 0,
  xattrs: new Map(),
};

export type Member = Partial<WrittenEntry> & { readonly name: string; readonly data?: string | Buffer };

/** An archive of members as they are given, sound or not. */
export const tarOf = (...members: readonly Member[]): Buffer => Buffer.concat([...members.map(memberOf), archiveEnd()]);

export const memberOf = ({ data = '', ...entry }: Member): Buffer => {
  const bytes = Buffer.from(data);
  const header = writeHeader({ ...plain, size: bytes.length, ...entry });
  return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
};

/** Writes the checksum of a header block that was changed. */
export const seal = (block: Buffer): Buffer => {
  block.fill(' ', 148, 156);
  let sum = 0;
  for (const byte of block.subarray(0, 512)) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
};
