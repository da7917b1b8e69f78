import { packAny } from '../../common/any.ts';
import { nowNanos } from '../../native/index.ts';
import { ContentDelete } from '../../proto/gen/containerd/events/event_payloads.ts';
import { type Holder, release } from '../leases/protect.ts';
import type { ContentParts } from './parts.ts';

/** Takes the blob from the namespace, whatever refers to it. Its file goes when no namespace has it. Throws NotFound. */
export const removeContent = async (parts: ContentParts, holder: Holder, digest: string): Promise<void> => {
  const { namespace } = holder;
  parts.db.transaction(() => {
    parts.content.remove(namespace, digest);
    release(parts.leases, holder, { type: 'content', id: digest });
    parts.events.append({
      namespace,
      topic: '/content/delete',
      timestampNanos: nowNanos(),
      payload: packAny('containerd.events.ContentDelete', ContentDelete, { digest }),
    });
  });
  await parts.events.publish();
  parts.removal.blobSoon(digest);
};
