import { type Holder, release } from '../leases/protect.ts';
import type { ContentParts } from './parts.ts';

/** Forgets an ingest and what was written. Somebody who still writes is told when they commit. Throws NotFound. */
export const abortIngest = async (parts: ContentParts, holder: Holder, ref: string): Promise<void> => {
  const ingest = parts.db.transaction(() => {
    const found = parts.ingests.get(holder.namespace, ref);
    parts.ingests.remove(found.id);
    release(parts.leases, holder, { type: 'ingests', id: ref });
    return found;
  });
  await parts.db.durable();
  await parts.files.removeIngest(ingest);
  if (ingest.claim !== '') parts.removal.blobSoon(ingest.claim); // it may have been the last that stood for it
};
