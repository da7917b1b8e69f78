import type { Entry, Extent } from './entry.ts';
import {
  archiveError,
  BLOCK,
  entryTypes,
  FILE_BYTES_MAX,
  fieldTooLong,
  invalidHeader,
  META_BYTES_MAX,
  paddingOf,
  SPARSE_EXTENTS_MAX,
  unexpectedEnd,
} from './format.ts';
import { type Extensions, type Header, makeEntry, parseExtents, parseHeader, sizeOf } from './header.ts';
import { parseDecimal, parsePax } from './pax.ts';

/** What is done with an archive's members, in their order. */
export interface EntrySink {
  entry(entry: Entry): void;
  /** The next bytes of the entry's data; valid during the call only. */
  data(bytes: Buffer): void;
  /** The entry is whole. Every `entry` without an error has its `end`. */
  end(): void;
}

const NONE: Extensions = { pax: undefined, longName: undefined, longLink: undefined };

/**
 * Reads a tar archive (ustar, PAX, GNU) that is pushed into it in pieces of any size, and calls the sink while it is
 * at it. Keeps no more than one extended header, of at most META_BYTES_MAX. Fails in the words of Go's archive/tar.
 */
export class TarReader {
  readonly #sink: EntrySink;
  readonly #held = Buffer.allocUnsafe(BLOCK);
  #heldBytes = 0;
  /** What the next block is. */
  #state: 'header' | 'meta' | 'old-sparse' | 'sparse-map' | 'data' | 'padding' | 'last' | 'over' = 'header';
  /** Bytes left in this state. */
  #left = 0;
  #padding = 0;
  #extensions: Extensions = NONE;
  #header: Header | undefined;
  #meta: Buffer[] = [];
  #extents: Extent[] = [];
  #map = new SparseMapText();

  constructor(sink: EntrySink) {
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#state === 'over') return;
      at += this.#isBlocks() ? this.#pushBlock(chunk, at) : this.#pushBytes(chunk, at);
    }
  }

  /** The archive has no more bytes. Like Go, an end between two members will do, without blocks of zeros. */
  finish(): void {
    const between = this.#state === 'header' || this.#state === 'last';
    const clean = this.#state === 'over' || (between && this.#heldBytes === 0);
    if (!clean) throw unexpectedEnd();
    if (this.#extensions !== NONE) throw unexpectedEnd();
  }

  #isBlocks(): boolean {
    return this.#state !== 'data' && this.#state !== 'meta' && this.#state !== 'padding';
  }

  #pushBlock(chunk: Buffer, at: number): number {
    if (this.#heldBytes === 0 && chunk.length - at >= BLOCK) {
      this.#block(chunk.subarray(at, at + BLOCK));
      return BLOCK;
    }
    const taken = Math.min(BLOCK - this.#heldBytes, chunk.length - at);
    chunk.copy(this.#held, this.#heldBytes, at, at + taken);
    this.#heldBytes += taken;
    if (this.#heldBytes === BLOCK) {
      this.#heldBytes = 0;
      this.#block(this.#held);
    }
    return taken;
  }

  #pushBytes(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#left, chunk.length - at);
    const bytes = chunk.subarray(at, at + taken);
    if (this.#state === 'data') this.#sink.data(bytes);
    else if (this.#state === 'meta') this.#meta.push(Buffer.from(bytes));
    this.#left -= taken;
    if (this.#left === 0) this.#bytesOver();
    return taken;
  }

  #bytesOver(): void {
    if (this.#state === 'padding') {
      this.#state = 'header';
      return;
    }
    if (this.#state === 'data') this.#sink.end();
    else this.#takeMeta();
    this.#enter('padding', this.#padding);
  }

  /** States without bytes are over at once. */
  #enter(state: 'data' | 'meta' | 'padding', bytes: number): void {
    this.#state = state;
    this.#left = bytes;
    if (bytes === 0) this.#bytesOver();
  }

  #block(block: Buffer): void {
    if (this.#state === 'header') this.#takeHeader(block);
    else if (this.#state === 'sparse-map') this.#takeMapBlock(block);
    else if (this.#state === 'old-sparse') {
      this.#addExtents(parseExtents(block, 0, 21));
      if (block[504] === 0) this.#begin(this.#header?.size ?? 0);
    } else {
      // After a block of zeros only another one may come.
      if (parseHeader(block) !== undefined) throw invalidHeader();
      this.#state = 'over';
    }
  }

  #takeHeader(block: Buffer): void {
    const header = parseHeader(block);
    if (header === undefined) {
      if (this.#extensions !== NONE) throw unexpectedEnd();
      this.#state = 'last';
      return;
    }
    this.#header = header;
    switch (header.type) {
      case entryTypes.pax:
      case entryTypes.paxGlobal:
      case entryTypes.gnuLongName:
      case entryTypes.gnuLongLink:
        if (header.size > META_BYTES_MAX) throw fieldTooLong();
        this.#meta = [];
        this.#padding = paddingOf(header.size);
        return this.#enter('meta', header.size);
      default:
        return this.#takeEntry(header);
    }
  }

  #takeMeta(): void {
    const data = Buffer.concat(this.#meta);
    this.#meta = [];
    const extensions = this.#extensions;
    const type = this.#header?.type;
    if (type === entryTypes.gnuLongName) this.#extensions = { ...extensions, longName: untilNul(data) };
    else if (type === entryTypes.gnuLongLink) this.#extensions = { ...extensions, longLink: untilNul(data) };
    else {
      const pax = parsePax(data);
      // Of a global header nothing is taken, as in containerd, but it must be one.
      if (type === entryTypes.pax) this.#extensions = { ...extensions, pax };
    }
  }

  #takeEntry(header: Header): void {
    this.#extents = [];
    if (header.type === entryTypes.gnuSparse) {
      if (header.sparse === undefined) throw invalidHeader();
      this.#addExtents(header.sparse.extents);
      if (header.sparse.more) this.#state = 'old-sparse';
      else this.#begin(header.size);
      return;
    }
    const { pax } = this.#extensions;
    const bytes = sizeOf(header, pax);
    if (header.type !== entryTypes.file || pax === undefined) return this.#begin(bytes);
    const { values, sparsePairs } = pax;
    if (values.get('GNU.sparse.major') === '1' && values.get('GNU.sparse.minor') === '0') {
      this.#map = new SparseMapText();
      this.#left = bytes;
      this.#state = 'sparse-map';
      return;
    }
    const map = values.get('GNU.sparse.map');
    if (map !== undefined || sparsePairs.length > 0) this.#addPairs(map === undefined ? sparsePairs : map.split(','));
    this.#begin(bytes);
  }

  /** A map of version 1.0 is text at the start of the data, padded to whole blocks. */
  #takeMapBlock(block: Buffer): void {
    this.#left -= BLOCK;
    if (this.#left < 0) throw invalidHeader();
    const pairs = this.#map.take(block);
    if (pairs === undefined) return;
    this.#addPairs(pairs);
    this.#begin(this.#left);
  }

  #addPairs(numbers: readonly string[]): void {
    if (numbers.length % 2 !== 0) throw invalidHeader();
    const extents: Extent[] = [];
    for (let index = 0; index < numbers.length; index += 2) {
      extents.push({ offset: parseDecimal(numbers[index] ?? ''), length: parseDecimal(numbers[index + 1] ?? '') });
    }
    this.#addExtents(extents);
  }

  #addExtents(extents: readonly Extent[]): void {
    if (this.#extents.length + extents.length > SPARSE_EXTENTS_MAX) throw fieldTooLong();
    for (const extent of extents) this.#extents.push(extent);
  }

  /** The headers of an entry are over; `bytes` of data follow. */
  #begin(bytes: number): void {
    const header = this.#header!; // set by the block that led here
    const extensions = this.#extensions;
    this.#extensions = NONE;
    const sparse = this.#sparseOf(header, extensions, bytes);
    const entry = makeEntry(header, extensions, sparse);
    // Only files have data; other types may carry a size all the same (a hard link's is its file's).
    const dataBytes = HEADER_ONLY.has(header.type) ? 0 : bytes;
    this.#padding = paddingOf(dataBytes);
    this.#sink.entry(entry);
    this.#enter('data', dataBytes);
  }

  #sparseOf(
    header: Header,
    { pax }: Extensions,
    bytes: number,
  ): { readonly extents: readonly Extent[]; readonly realSize: number } | undefined {
    const isSparse = header.sparse !== undefined || this.#state === 'sparse-map' || this.#extents.length > 0;
    const stated = pax?.values.get('GNU.sparse.realsize') ?? pax?.values.get('GNU.sparse.size');
    if (!isSparse && (stated === undefined || header.type !== entryTypes.file)) return undefined;
    const realSize = header.sparse?.realSize ?? parseDecimal(stated ?? '');
    checkExtents(this.#extents, { realSize, bytes });
    return { extents: this.#extents, realSize };
  }
}

const HEADER_ONLY: ReadonlySet<string> = new Set([
  entryTypes.link,
  entryTypes.symlink,
  entryTypes.character,
  entryTypes.block,
  entryTypes.directory,
  entryTypes.fifo,
]);

/** In order, without overlap, inside the file, and of as many bytes as there are. */
const checkExtents = (
  extents: readonly Extent[],
  { realSize, bytes }: { readonly realSize: number; readonly bytes: number },
): void => {
  let end = 0;
  let sum = 0;
  for (const { offset, length } of extents) {
    if (offset < end || length > FILE_BYTES_MAX - offset) throw invalidHeader();
    end = offset + length;
    sum += length;
  }
  if (end > realSize || sum !== bytes) throw archiveError('archive/tar: invalid sparse data');
};

const untilNul = (data: Buffer): string => {
  const nul = data.indexOf(0);
  return data.toString('latin1', 0, nul === -1 ? data.length : nul);
};

/** The text of a sparse map, version 1.0: the count, then offset and length of each, a number a line. */
class SparseMapText {
  #text = '';
  #numbers: string[] = [];
  #wanted: number | undefined;
  #bytes = 0;

  /** Gives all the numbers once the last one is there. */
  take(block: Buffer): readonly string[] | undefined {
    this.#bytes += block.length;
    if (this.#bytes > SPARSE_MAP_BYTES_MAX) throw fieldTooLong();
    this.#text += block.toString('latin1');
    for (;;) {
      if (this.#wanted !== undefined && this.#numbers.length === this.#wanted) return this.#numbers;
      const line = this.#text.indexOf('\n');
      if (line === -1) {
        if (this.#text.length > BLOCK * 2) throw invalidHeader();
        return undefined;
      }
      const number = this.#text.slice(0, line);
      this.#text = this.#text.slice(line + 1);
      if (this.#wanted !== undefined) this.#numbers.push(number);
      else {
        const count = parseDecimal(number);
        if (count > SPARSE_EXTENTS_MAX) throw fieldTooLong();
        this.#wanted = count * 2;
      }
    }
  }
}

/** Of a map with the most extents, bytes. */
const SPARSE_MAP_BYTES_MAX = SPARSE_EXTENTS_MAX * 2 * 17;
