import { KeyedQueue } from '../common/keyed-queue.ts';
import type { Service } from './call.ts';
import { ContentFiles } from './content/files.ts';
import { ingestStore } from './content/ingest-store.ts';
import { openIngester, type Ingester, type IngestOptions } from './content/ingester.ts';
import type { ContentParts } from './content/parts.ts';
import { blobOf } from './content/read.ts';
import { Removal } from './content/removal.ts';
import { contentStore } from './content/store.ts';
import { WriterLocks } from './content/writer-locks.ts';
import type { Core } from './core.ts';
import { contentService } from './services/content.ts';

/** What the daemon's other parts need of the one that keeps content. */
export interface ContentPart {
  readonly services: readonly Service[];
  /** A committed blob of the namespace: where it lies, and its size in bytes. Throws NotFound. */
  reader(namespace: string, digest: string): { readonly path: string; readonly size: bigint };
  /** See content/ingester.ts. */
  ingest(namespace: string, ref: string, options?: IngestOptions): Promise<Ingester>;
  /** Takes off the disk the blobs and ingests that no row names any more; gives how many blobs went. */
  removeUnreferenced(): Promise<number>;
  /** Waits for removals under way. */
  close(): Promise<void>;
}

/** Puts together the part of the daemon that keeps content. */
export const makeContent = (core: Core): ContentPart => {
  const { config, log, db } = core;
  const rows = {
    db,
    log,
    content: contentStore(db),
    ingests: ingestStore(db),
    files: new ContentFiles(config.root),
    turns: new KeyedQueue(),
  };
  const removal = new Removal(rows);
  const parts: ContentParts = {
    ...rows,
    events: core.events,
    namespaces: core.namespaces,
    leases: core.leases,
    locks: new WriterLocks(),
    removal,
    sharing: config.content.sharing,
  };
  return {
    services: [contentService(parts)],
    reader: (namespace, digest) => blobOf(parts, namespace, digest),
    ingest: (namespace, ref, options) => openIngester(parts, namespace, ref, options),
    removeUnreferenced: () => removal.all(),
    close: () => removal.close(),
  };
};
