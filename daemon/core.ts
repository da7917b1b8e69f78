import type { Logger } from 'pino';
import type { Any } from '../proto/gen/google/protobuf/any.ts';
import type { Service } from './call.ts';
import type { Config } from './config.ts';
import type { ContainerStore } from './containers/store.ts';
import type { EventLog, NewEvent } from './events/log.ts';
import type { LeaseStore } from './leases/store.ts';
import type { NamespaceStore } from './namespaces/store.ts';
import type { Database } from './store/database.ts';

/** What every part of the daemon may build on. A consumer takes the few of these that it needs. */
export interface Core {
  readonly config: Config;
  readonly log: Logger;
  readonly db: Database;
  readonly events: EventLog;
  readonly containers: ContainerStore;
  readonly namespaces: NamespaceStore;
  readonly leases: LeaseStore;
  /** Aborts when the daemon begins to stop; what waits for long (Wait, Subscribe) ends then. */
  readonly stopping: AbortSignal;
}

/** What the daemon's core needs of the part that runs tasks; that part is made by one function of Core. */
export interface TasksPart {
  readonly services: readonly Service[];
  /** Resolves when every shim is loaded or given up on; it begins when the part is made. Never rejects. */
  readonly ready: Promise<void>;
  /** See events/forward.ts. */
  readonly absorb: (event: NewEvent) => boolean;
  /** See events/subscribe.ts. */
  readonly isUndeleted: (namespace: string, containerId: string, execId: string) => boolean;
  /** Introspection's PluginInfo of the runtime plugin: RuntimeRequest in, RuntimeInfo out. */
  readonly runtimeInfo?: (request: Any) => Promise<Any>;
  /** For SIGUSR1: JSON. */
  readonly dump: () => unknown;
  /** Lets go of the shims, which live on. */
  close(): Promise<void>;
}
