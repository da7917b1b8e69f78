import { packAny } from '../../common/any.ts';
import { alreadyExists, type CodedError, notFound } from '../../common/errdefs.ts';
import { type Labels, withoutEmpty } from '../../common/labels.ts';
import { nowNanos } from '../../native/index.ts';
import { ContentCreate } from '../../proto/gen/containerd/events/event_payloads.ts';
import { type Holder, protect, release } from '../leases/protect.ts';
import type { Ingest } from './ingest-store.ts';
import type { ContentParts } from './parts.ts';

export interface Finished {
  readonly ingest: Ingest;
  readonly digest: string;
  readonly size: bigint;
  /** Path of its data, on the disk; undefined: another namespace has the blob. */
  readonly data: string | undefined;
  readonly labels: Labels;
}

/**
 * The ingest's data becomes the blob: its file first, then the row with its event, and the reply when both are on the
 * disk. Throws AlreadyExists if the namespace has it (the call's lease then holds it), NotFound if the ingest was
 * aborted meanwhile. Either way the ingest is no more.
 */
export const commitContent = async (parts: ContentParts, holder: Holder, finished: Finished): Promise<void> => {
  const { ingest, digest } = finished;
  // Nobody removes this blob between its file and its row.
  const isNew = await parts.turns
    .run(digest, async () => {
      await installData(parts, holder, finished);
      const inserted = parts.db.transaction(() => record(parts, holder, finished));
      await parts.events.publish();
      return inserted;
    })
    .catch((error: unknown) => {
      parts.removal.blobSoon(digest);
      throw error;
    });
  await parts.files
    .removeIngest(ingest)
    .catch((error: unknown) => parts.log.warn({ err: error, ref: ingest.ref }, 'an ingest is left on the disk'));
  if (!isNew) throw alreadyExists(`content ${digest}`);
};

const installData = async (parts: ContentParts, { namespace }: Holder, { ingest, digest, data }: Finished) => {
  if (data === undefined || parts.content.find(namespace, digest) !== undefined) return;
  try {
    await parts.files.install(data, digest);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw aborted(ingest, error);
    throw error;
  }
};

/** Gives false if the namespace has the blob already. */
const record = (parts: ContentParts, holder: Holder, { ingest, digest, size, labels }: Finished): boolean => {
  const { namespace } = holder;
  const now = nowNanos();
  if (!parts.ingests.remove(ingest.id)) throw aborted(ingest);
  release(parts.leases, holder, { type: 'ingests', id: ingest.ref });
  protect(parts.leases, holder, { type: 'content', id: digest });
  const content = { digest, size, labels: withoutEmpty(labels), createdAt: now, updatedAt: now };
  if (!parts.content.insert(namespace, content)) return false;
  parts.events.append({
    namespace,
    topic: '/content/create',
    timestampNanos: now,
    payload: packAny('containerd.events.ContentCreate', ContentCreate, { digest, size }),
  });
  return true;
};

const aborted = ({ ref }: Ingest, cause?: unknown): CodedError =>
  notFound(`reference ${ref} was aborted while it was written`, undefined, { cause });
