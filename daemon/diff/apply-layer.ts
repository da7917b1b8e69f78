import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, constants, createReadStream, openSync, type ReadStream } from 'node:fs';
import { createGunzip, createZstdDecompress, type Gunzip, type ZstdDecompress } from 'node:zlib';
import { CodedError, codes, messageOf, unknownError } from '../../common/errdefs.ts';
import { syncFileSystem } from '../../native/index.ts';
import type { ApplyJob, ApplyResult } from './jobs.ts';
import { compressionOf } from './media-types.ts';
import { unexpectedEnd } from './tar/format.ts';
import { TarReader } from './tar/reader.ts';
import { Unpacker } from './unpack/unpacker.ts';

/** Pieces that a blob is read, and decompressed, in, bytes: with 16 KiB zlib is three times slower. */
const PIECE_BYTES = 1 << 20;

/**
 * One pass over a blob: its digest, the digest of what it decompresses to, and its files on the disk. `check` throws
 * when the job is to end.
 */
export const applyLayer = async (job: ApplyJob, check: () => void): Promise<ApplyResult> => {
  using open = new DisposableStack();
  const rootFd = openDirectory(open, job.root);
  const lowerFds = job.lower?.map((path) => openDirectory(open, path));
  const unpacker = open.use(new Unpacker({ rootFd, lowerFds, devices: job.devices }));
  const reader = new TarReader(unpacker);
  const diffId = createHash('sha256');
  const blob = blobDigest(job.digest);
  let size = 0;
  for await (const piece of decompressed(job, (bytes) => blob.update(bytes))) {
    check();
    diffId.update(piece);
    size += piece.length;
    reader.push(piece);
  }
  reader.finish();
  unpacker.finish();
  blob.verify();
  if (job.syncFs) await syncFileSystem(rootFd);
  return { diffId: `sha256:${diffId.digest('hex')}`, size };
};

const openDirectory = (open: DisposableStack, path: string): number => {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  open.defer(() => closeSync(fd));
  return fd;
};

/** The digest in our descriptor is what the client believes to unpack. */
const blobDigest = (digest: string): { update(bytes: Buffer): void; verify(): void } => {
  const [algorithm = '', expected = ''] = digest.split(':');
  const hash = createHash(algorithm);
  return {
    update: (bytes) => void hash.update(bytes),
    verify: () => {
      const actual = hash.digest('hex');
      if (actual !== expected) {
        throw new CodedError(
          codes.dataLoss,
          `blob ${digest} is damaged: its bytes have the digest ${algorithm}:${actual}`,
        );
      }
    },
  };
};

/** The layer's bytes as its tar archive has them; `onRead` is given all bytes of the blob. */
async function* decompressed(job: ApplyJob, onRead: (bytes: Buffer) => void): AsyncGenerator<Buffer> {
  const file = createReadStream(job.blob, { highWaterMark: PIECE_BYTES });
  try {
    const pieces = file[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    const first = await pieces.next();
    if (first.done === true) return;
    const blob = withFirst(first.value, pieces, onRead);
    const compression = job.reading === 'as-is' ? 'none' : compressionOf(first.value);
    if (compression === 'none') return yield* blob;
    const options = {
      chunkSize: PIECE_BYTES,
      readableHighWaterMark: 2 * PIECE_BYTES,
      writableHighWaterMark: PIECE_BYTES,
    };
    const stream = compression === 'gzip' ? createGunzip(options) : createZstdDecompress(options);
    const pumped = pump(blob, stream).catch((error: unknown) => void stream.destroy(error as Error));
    try {
      yield* stream as AsyncIterable<Buffer>;
    } catch (error) {
      throw decompressionError(error, compression);
    }
    await pumped;
  } finally {
    await closed(file);
  }
}

async function* withFirst(
  first: Buffer,
  rest: AsyncIterator<Buffer>,
  onRead: (bytes: Buffer) => void,
): AsyncGenerator<Buffer> {
  for (let piece = first; ;) {
    onRead(piece);
    yield piece;
    const next = await rest.next();
    if (next.done === true) return;
    piece = next.value;
  }
}

/** Bytes after the compressed data are not the layer's: they are only read, for the blob's digest. */
const pump = async (blob: AsyncIterable<Buffer>, into: Gunzip | ZstdDecompress): Promise<void> => {
  const over = new Promise<void>((resolve) => into.once('end', resolve).once('close', resolve));
  for await (const piece of blob) {
    if (into.readableEnded || into.destroyed || into.write(piece)) continue;
    await Promise.race([once(into, 'drain').catch(() => undefined), over]);
  }
  if (!into.readableEnded && !into.destroyed) into.end();
};

const decompressionError = (error: unknown, compression: string): Error => {
  if (error instanceof CodedError) return error;
  const message = messageOf(error);
  return message === 'unexpected end of file'
    ? unexpectedEnd()
    : unknownError(`${compression}: ${message}`, { cause: error });
};

/** Also of a file that is still being read. */
const closed = (file: ReadStream): Promise<void> =>
  new Promise((resolve) => {
    if (file.closed) return resolve();
    file.once('close', resolve).destroy();
  });
