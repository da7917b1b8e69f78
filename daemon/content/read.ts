import { open } from 'node:fs/promises';
import { CodedError, codes, notFound } from '../../common/errdefs.ts';
import type { ContentParts } from './parts.ts';

/** Bytes of a blob that are read and sent at once. */
export const READ_BYTES = 1 << 20;

export interface Range {
  readonly offset: bigint;
  /** Bytes; 0n: up to the end. More than there are: as many as there are. */
  readonly size: bigint;
}

/** A committed blob of the namespace: where it lies, and its size in bytes. Throws NotFound. */
export const blobOf = (
  { content, files }: ContentParts,
  namespace: string,
  digest: string,
): { readonly path: string; readonly size: bigint } => {
  const { size } = content.get(namespace, digest);
  return { path: files.blobPath(digest), size };
};

/**
 * A blob's bytes, in pieces, at the pace of who takes them. A piece is only good until the next is asked for. Throws
 * NotFound, and OutOfRange for an offset behind the end.
 */
export async function* readContent(
  parts: ContentParts,
  namespace: string,
  digest: string,
  range: Range,
): AsyncGenerator<Buffer> {
  const { path, size } = blobOf(parts, namespace, digest);
  const offset = range.offset < 0n ? 0n : range.offset;
  if (offset > size) throw new CodedError(codes.outOfRange, `read past object length ${size} bytes`);
  const end = range.size <= 0n || offset + range.size > size ? size : offset + range.size;
  await using file = await opened(path, digest);
  const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, Number(end - offset)));
  for (let position = Number(offset); position < Number(end);) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, Number(end) - position), position);
    if (bytesRead === 0) throw new CodedError(codes.dataLoss, `blob ${digest} at ${path} ends after ${position} bytes`);
    yield buffer.subarray(0, bytesRead);
    position += bytesRead;
  }
}

const opened = async (path: string, digest: string) => {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw notFound(`blob ${digest} expected at ${path}`, undefined, { cause: error });
  }
};
