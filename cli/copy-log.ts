import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { print } from './print.ts';

/** How often a file that is followed is looked at, milliseconds. */
const LOOK_MS = 100;
const CHUNK_BYTES = 64 << 10;

export interface CopyLogOptions {
  /** Only so many lines of what is there; undefined: all. */
  readonly tail: number | undefined;
  /** Goes on with what is appended until this resolves; undefined: ends at the end of the file. */
  readonly until: Promise<unknown> | undefined;
}

/** Prints a log file, and what is appended to it. */
export const copyLog = async (path: string, { tail, until }: CopyLogOptions): Promise<void> => {
  await using file = await open(path);
  let ended = until === undefined;
  void until?.finally(() => (ended = true)).catch(() => undefined); // whoever made it looks at its error
  let position = tail === undefined ? 0 : await startOfTail(file, tail);
  for (;;) {
    const last = ended;
    position = await printFrom(file, position);
    if (last) return;
    await pause(LOOK_MS);
    // Somebody emptied it.
    if ((await file.stat()).size < position) position = 0;
  }
};

/** Prints what is there; gives the position behind it. */
const printFrom = async (file: FileHandle, from: number): Promise<number> => {
  for (let position = from; ;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, position);
    if (bytesRead === 0) return position;
    position += bytesRead;
    await print(buffer.subarray(0, bytesRead));
  }
};

/** Where the last `lines` lines begin; a last line without a newline is one. */
export const startOfTail = async (file: FileHandle, lines: number): Promise<number> => {
  const { size } = await file.stat();
  if (lines === 0) return size;
  let left = lines;
  for (let end = size; end > 0;) {
    const begin = Math.max(0, end - CHUNK_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(end - begin), 0, end - begin, begin);
    for (let at = bytesRead - 1; at >= 0; at -= 1) {
      const isBetweenLines = buffer[at] === NEWLINE && begin + at !== size - 1;
      if (isBetweenLines && --left === 0) return begin + at + 1;
    }
    end = begin;
  }
  return 0;
};

const NEWLINE = 0x0a;
