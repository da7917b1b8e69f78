import type { Logger } from 'pino';
import type { KeyedQueue } from '../../common/keyed-queue.ts';
import type { EventLog } from '../events/log.ts';
import type { LeaseStore } from '../leases/store.ts';
import type { NamespaceStore } from '../namespaces/store.ts';
import type { Database } from '../store/database.ts';
import type { ContentFiles } from './files.ts';
import type { IngestStore } from './ingest-store.ts';
import type { Removal } from './removal.ts';
import type { ContentStore } from './store.ts';
import type { WriterLocks } from './writer-locks.ts';

/**
 * What a blob of one namespace costs another. `shared`: to name its digest when a write is opened; `isolated`: all its
 * bytes, unless the first namespace has the label `containerd.io/namespace.shareable=true`.
 */
export type Sharing = 'shared' | 'isolated';

/** What the verbs of this folder work with. */
export interface ContentParts {
  readonly db: Database;
  readonly log: Logger;
  readonly events: EventLog;
  readonly namespaces: NamespaceStore;
  readonly leases: LeaseStore;
  readonly content: ContentStore;
  readonly ingests: IngestStore;
  readonly files: ContentFiles;
  readonly locks: WriterLocks;
  /** By digest; see removal.ts. */
  readonly turns: KeyedQueue;
  readonly removal: Removal;
  readonly sharing: Sharing;
}
