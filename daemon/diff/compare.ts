import { randomBytes } from 'node:crypto';
import { about } from '../../common/errdefs.ts';
import type { Descriptor, Mount } from '../../proto/gen/containerd/types/types.ts';
import type { DiffParts } from './apply.ts';
import type { CompareJob, CompareResult } from './jobs.ts';
import { compressionFor, DEFAULT_LAYER } from './media-types.ts';
import { readOnly, upperDirectoryOn } from './overlay.ts';

/** On a layer's blob: the digest of what it decompresses to. */
export const UNCOMPRESSED = 'containerd.io/uncompressed';

export interface CompareRequest {
  readonly namespace: string;
  readonly left: readonly Mount[];
  readonly right: readonly Mount[];
  /** Empty: gzip. */
  readonly mediaType: string;
  /** Of the ingest; empty: one of its own. */
  readonly ref: string;
  readonly labels: ReadonlyMap<string, string>;
  /** Later times become this one, nanoseconds since 1970. */
  readonly latestTime: bigint | undefined;
  readonly lease: string | undefined;
}

/** Writes what `right` has and `left` has not into the content store, as a layer, and gives its descriptor. */
export const compareDiff = async (
  parts: DiffParts,
  request: CompareRequest,
  signal: AbortSignal,
): Promise<Descriptor> => {
  const mediaType = request.mediaType === '' ? DEFAULT_LAYER : request.mediaType;
  const compression = compressionFor(mediaType);
  const { left, right, latestTime } = request;
  const job = { kind: 'compare', compression, latestTime } as const;
  const upper = upperDirectoryOn(left, right);
  return parts.mounts.use(readOnly(left), async (lower) => {
    const direct =
      upper === undefined ? undefined : await write(parts, request, { ...job, lower, upper, overlay: true }, signal);
    const written =
      direct ??
      (await parts.mounts.use(readOnly(right), (root) =>
        write(parts, request, { ...job, lower, upper: root, overlay: false }, signal),
      ));
    if (written === undefined) throw new Error('a comparison of whole trees gives a layer');
    return { mediaType, ...written, annotations: new Map() };
  });
};

/** undefined: 'whole-tree'. */
const write = async (
  { content, workers }: DiffParts,
  { namespace, ref, labels, lease }: CompareRequest,
  job: CompareJob,
  signal: AbortSignal,
): Promise<{ readonly digest: string; readonly size: bigint } | undefined> => {
  const ingest = await content
    .ingest(namespace, ref === '' ? uniqueRef() : ref, lease === undefined ? {} : { lease })
    .catch((error: unknown) => {
      throw about('failed to open writer', error);
    });
  await using undo = new AsyncDisposableStack();
  undo.defer(() => ingest.abort());
  let size = 0;
  const take = async (piece: Uint8Array): Promise<void> => {
    await ingest.write(piece);
    size += piece.length;
  };
  const result: CompareResult = await workers.compare(job, take, signal);
  if (result === 'whole-tree') return undefined;
  const all = new Map(labels).set(UNCOMPRESSED, result.diffId);
  const digest = await ingest.commit({ size, labels: all }).catch((error: unknown) => {
    throw about('failed to commit', error);
  });
  undo.move();
  return { digest, size: BigInt(size) };
};

const uniqueRef = (): string => `${Date.now()}-${randomBytes(6).toString('base64url')}`;
