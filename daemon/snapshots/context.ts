import type { Logger } from 'pino';
import { nowNanos } from '../../native/index.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import type { EventLog } from '../events/log.ts';
import type { LeaseStore } from '../leases/store.ts';
import type { NamespaceStore } from '../namespaces/store.ts';
import type { Database } from '../store/database.ts';
import type { Backend } from './backend.ts';
import { LeaseResources } from './lease-resources.ts';
import { Leftovers } from './leftovers.ts';
import { missing } from './refusals.ts';
import type { Caller } from './snapshotter.ts';
import { type Snapshot, type SnapshotStore, snapshotStore } from './store.ts';

export interface SnapshotterParts {
  readonly db: Database;
  readonly events: EventLog;
  readonly leases: LeaseStore;
  readonly namespaces: NamespaceStore;
  readonly log: Logger;
}

/** What the verbs of one snapshotter work with. */
export interface Context extends Omit<SnapshotterParts, 'leases'> {
  readonly backend: Backend;
  readonly store: SnapshotStore;
  readonly leases: LeaseResources;
  readonly leftovers: Leftovers;
}

export const contextOf = (parts: SnapshotterParts, backend: Backend): Context => {
  const { db } = parts;
  const store = snapshotStore(db, backend.name);
  const log = parts.log.child({ snapshotter: backend.name });
  return {
    ...parts,
    log,
    backend,
    store,
    leases: new LeaseResources(parts.leases, backend.name),
    leftovers: new Leftovers({ db, store, backend, log }),
  };
};

/** Throws NotFound. */
export const required = ({ store }: Context, { namespace }: Caller, key: string): Snapshot => {
  const snapshot = store.find(namespace, key);
  if (snapshot === undefined) throw missing(key);
  return snapshot;
};

/** Inside the transaction of what it tells of. */
export const announce = ({ events }: Context, { namespace }: Caller, topic: string, payload: Any): void =>
  void events.append({ namespace, topic, timestampNanos: nowNanos(), payload });
