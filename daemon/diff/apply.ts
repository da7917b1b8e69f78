import { readFileSync } from 'node:fs';
import { about } from '../../common/errdefs.ts';
import type { Descriptor, Mount } from '../../proto/gen/containerd/types/types.ts';
import type { Blob, DiffContent } from './content.ts';
import type { ApplyJob } from './jobs.ts';
import { LAYER, readingOf } from './media-types.ts';
import { overlayOf } from './overlay.ts';
import type { TemporaryMounts } from './temporary-mounts.ts';
import type { Workers } from './workers.ts';

export interface DiffParts {
  readonly content: DiffContent;
  readonly mounts: TemporaryMounts;
  readonly workers: Workers;
}

export interface ApplyOptions {
  /** The answer waits until the files are on the disk. */
  readonly syncFs: boolean;
}

/**
 * Unpacks a layer onto mounts, and gives the descriptor of what it was uncompressed. NotFound: there is no such blob;
 * DataLoss: it has been damaged; Unknown: it is no layer.
 */
export const applyDiff = async (
  { content, mounts: temporary, workers }: DiffParts,
  {
    namespace,
    diff,
    mounts,
    options,
  }: {
    readonly namespace: string;
    readonly diff: Descriptor;
    readonly mounts: readonly Mount[];
    readonly options: ApplyOptions;
  },
  signal: AbortSignal,
): Promise<Descriptor> => {
  const blob = await blobOf(content, namespace, diff.digest);
  const job = {
    kind: 'apply',
    blob: blob.path,
    digest: diff.digest,
    reading: readingOf(diff.mediaType),
    devices: mayMakeDevices(),
    syncFs: options.syncFs,
  } as const;
  const apply = (more: Pick<ApplyJob, 'root' | 'lower'>): ReturnType<Workers['apply']> =>
    workers.apply({ ...job, ...more }, signal);

  const overlay = overlayOf(mounts);
  // Into the upper directory itself: through the mount, every directory would be copied up first.
  const direct = overlay?.upper !== undefined && job.devices;
  const { diffId, size } = direct
    ? await apply({ root: overlay.upper ?? '', lower: overlay.lower })
    : await temporary.use(mounts, (root) => apply({ root, lower: undefined }));
  return { mediaType: LAYER, digest: diffId, size: BigInt(size), annotations: new Map() };
};

const blobOf = async (content: DiffContent, namespace: string, digest: string): Promise<Blob> => {
  try {
    return await content.reader(namespace, digest);
  } catch (error) {
    throw about('failed to get reader from content store', error);
  }
};

/** Nobody may inside a user namespace; outside of one, ids are mapped to themselves. */
const mayMakeDevices = (): boolean => /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'));
