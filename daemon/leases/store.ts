import { alreadyExists, notFound } from '../../common/errdefs.ts';
import type { Labels } from '../../common/labels.ts';
import type { Database } from '../store/database.ts';
import { checkLeaseResource, type LeaseResource } from './resource.ts';

/** What keeps things from being collected while a client works with them. */
export interface Lease {
  readonly id: string;
  /** Nanoseconds since 1970. */
  readonly createdAt: bigint;
  /** `containerd.io/gc.expire` is read by the collection. */
  readonly labels: Labels;
}

/** Methods that write are called inside a transaction. */
export interface LeaseStore {
  list(namespace: string): Lease[];
  /** Throws AlreadyExists. The namespace's row must be there. */
  insert(namespace: string, lease: Lease): void;
  /** With its resources. Throws NotFound. */
  remove(namespace: string, id: string): void;
  /** Throws NotFound, and refuses what can be no resource. One that is there already stays. */
  addResource(namespace: string, id: string, resource: LeaseResource): void;
  /** Throws NotFound for the lease; a resource that is not there is no error. */
  removeResource(namespace: string, id: string, resource: LeaseResource): void;
  /** Throws NotFound. */
  resources(namespace: string, id: string): LeaseResource[];
}

export const leaseStore = (db: Database): LeaseStore => {
  const statements = prepare(db);
  const required = (namespace: string, id: string): void => {
    if (statements.exists.get(namespace, id) === undefined) throw notFound('lease', id);
  };
  return {
    list: (namespace) =>
      statements.list
        .all(namespace)
        .map(([id, createdAt]) => ({ id, createdAt, labels: new Map(statements.labels.all(namespace, id)) })),
    insert: (namespace, { id, createdAt, labels }) => {
      if (statements.insert.run(namespace, id, createdAt).changes === 0) throw alreadyExists('lease', id);
      for (const [key, value] of labels) statements.addLabel.run(namespace, id, key, value);
    },
    remove: (namespace, id) => {
      if (statements.remove.run(namespace, id).changes === 0) throw notFound('lease', id);
    },
    addResource: (namespace, id, resource) => {
      required(namespace, id);
      checkLeaseResource(resource);
      statements.addResource.run(namespace, id, resource.type, resource.id);
    },
    removeResource: (namespace, id, resource) => {
      required(namespace, id);
      checkLeaseResource(resource);
      statements.removeResource.run(namespace, id, resource.type, resource.id);
    },
    resources: (namespace, id) => {
      required(namespace, id);
      return statements.resources.all(namespace, id);
    },
  };
};

const prepare = ({ sql }: Database) => ({
  exists: sql.prepare<[string, string]>('SELECT 1 FROM leases WHERE namespace = ? AND id = ?'),
  list: sql
    .prepare<[string], [string, bigint]>('SELECT id, created_at FROM leases WHERE namespace = ? ORDER BY id')
    .raw(),
  labels: sql
    .prepare<[string, string], [string, string]>(
      'SELECT key, value FROM lease_labels WHERE namespace = ? AND lease = ?',
    )
    .raw(),
  insert: sql.prepare<[string, string, bigint]>('INSERT INTO leases VALUES (?, ?, ?) ON CONFLICT DO NOTHING'),
  addLabel: sql.prepare<[string, string, string, string]>('INSERT INTO lease_labels VALUES (?, ?, ?, ?)'),
  remove: sql.prepare<[string, string]>('DELETE FROM leases WHERE namespace = ? AND id = ?'),
  addResource: sql.prepare<[string, string, string, string]>(
    'INSERT OR IGNORE INTO lease_resources VALUES (?, ?, ?, ?)',
  ),
  removeResource: sql.prepare<[string, string, string, string]>(
    'DELETE FROM lease_resources WHERE namespace = ? AND lease = ? AND type = ? AND id = ?',
  ),
  resources: sql.prepare<[string, string], LeaseResource>(
    'SELECT type, id FROM lease_resources WHERE namespace = ? AND lease = ? ORDER BY type, id',
  ),
});
