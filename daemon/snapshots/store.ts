import type { Labels } from '../../common/labels.ts';
import type { Database } from '../store/database.ts';
import type { Made } from './backend.ts';
import type { Info, Kind, Usage } from './snapshotter.ts';

/** A row: a snapshot of one namespace. */
export interface Snapshot extends Info, Made {
  readonly kind: Kind;
  /** 0 until it is committed. */
  readonly usage: Usage;
}

/** What is being made, or is still to be deleted. */
export interface Leftover {
  readonly id: bigint;
  readonly namespace: string;
  readonly backendKey: string;
}

/** The rows of one snapshotter. Methods that write are called inside a transaction. */
export interface SnapshotStore {
  find(namespace: string, key: string): Snapshot | undefined;
  /** In the order of keys, those behind `after`. */
  list(namespace: string, page: { readonly after: string; readonly limit: number }): Snapshot[];
  hasChildren(id: bigint): boolean;
  /** A new id, which is a leftover until `insert` or `rename` makes it a snapshot. */
  reserve(namespace: string, key: string): Leftover;
  /** The key must be free and the parent, its name, be there. */
  insert(snapshot: Snapshot): void;
  /** Makes an active snapshot a committed one of another key. */
  rename(id: bigint, to: Omit<Snapshot, 'id' | 'namespace' | 'parent' | 'parents' | 'kind'>): void;
  setLabels(id: bigint, labels: Labels, updatedAt: bigint): void;
  /** It becomes a leftover, unless another namespace has the same one of another process; undefined then. */
  remove(snapshot: Snapshot): Leftover | undefined;
  leftovers(): Leftover[];
  /** The leftover is no more. */
  forget(id: bigint): void;
  /** Ids of all snapshots, and of all leftovers. */
  ids(): { readonly snapshots: ReadonlySet<bigint>; readonly leftovers: ReadonlySet<bigint> };
  /** Namespace and key of a snapshot, for the log. */
  nameOf(id: bigint): { readonly namespace: string; readonly key: string } | undefined;
}

/** Names of the snapshotters that have snapshots in a namespace. */
export const snapshottersWith = ({ sql }: Database): ((namespace: string) => string[]) => {
  const names = sql
    .prepare<[string], string>('SELECT DISTINCT snapshotter FROM snapshots WHERE namespace = ? ORDER BY snapshotter')
    .pluck();
  return (namespace) => names.all(namespace);
};

interface Row {
  readonly id: bigint;
  readonly namespace: string;
  readonly key: string;
  readonly parent: string | null;
  readonly kind: Kind;
  readonly backend_key: string;
  readonly size: bigint;
  readonly inodes: bigint;
  readonly created_at: bigint;
  readonly updated_at: bigint;
}

export const snapshotStore = (db: Database, snapshotter: string): SnapshotStore => {
  const statements = prepare(db);

  const complete = (row: Row): Snapshot => ({
    id: row.id,
    namespace: row.namespace,
    name: row.key,
    parent: row.parent ?? '',
    parents: row.parent === null ? [] : statements.ancestors.all(row.id),
    kind: row.kind,
    backendKey: row.backend_key,
    usage: { size: row.size, inodes: row.inodes },
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    labels: new Map(statements.labels.all(row.id)),
  });

  const writeLabels = (id: bigint, labels: Labels): void => {
    statements.clearLabels.run(id);
    for (const [key, value] of labels) statements.addLabel.run(id, key, value);
  };

  return {
    find: (namespace, key) => {
      const row = statements.get.get(snapshotter, namespace, key);
      return row === undefined ? undefined : complete(row);
    },
    list: (namespace, { after, limit }) =>
      statements.list.all(snapshotter, namespace, after, limit).map((row) => complete(row)),
    hasChildren: (id) => statements.child.get(id) !== undefined,
    reserve: (namespace, key) => {
      const id = BigInt(statements.reserve.run(namespace, snapshotter).lastInsertRowid);
      const backendKey = `${namespace}/${id}/${key}`;
      statements.nameLeftover.run(backendKey, id);
      return { id, namespace, backendKey };
    },
    insert: ({ id, namespace, name, parent, kind, backendKey, usage, createdAt, updatedAt, labels }) => {
      statements.forget.run(id);
      const { size, inodes } = usage;
      const parentKey = parent === '' ? null : parent;
      statements.insert.run({
        id,
        namespace,
        snapshotter,
        name,
        parentKey,
        kind,
        backendKey,
        size,
        inodes,
        createdAt,
        updatedAt,
      });
      writeLabels(id, labels);
    },
    rename: (id, { name, backendKey, usage: { size, inodes }, createdAt, updatedAt, labels }) => {
      statements.rename.run({ id, name, backendKey, size, inodes, createdAt, updatedAt });
      writeLabels(id, labels);
    },
    setLabels: (id, labels, updatedAt) => {
      statements.touch.run(updatedAt, id);
      writeLabels(id, labels);
    },
    remove: ({ id, namespace, backendKey }) => {
      statements.remove.run(id);
      if (statements.shared.get(snapshotter, backendKey) !== undefined) return undefined;
      statements.leave.run(id, namespace, snapshotter, backendKey);
      return { id, namespace, backendKey };
    },
    leftovers: () => statements.leftovers.all(snapshotter),
    forget: (id) => void statements.forget.run(id),
    ids: () => ({
      snapshots: new Set(statements.snapshotIds.all(snapshotter)),
      leftovers: new Set(statements.leftovers.all(snapshotter).map(({ id }) => id)),
    }),
    nameOf: (id) => statements.nameOf.get(id),
  };
};

const COLUMNS =
  's.id, s.namespace, s.key, p.key AS parent, s.kind, s.backend_key, s.size, s.inodes, s.created_at, s.updated_at';
const SNAPSHOTS = `SELECT ${COLUMNS} FROM snapshots s LEFT JOIN snapshots p ON p.id = s.parent`;

const prepare = ({ sql }: Database) => ({
  get: sql.prepare<[string, string, string], Row>(
    `${SNAPSHOTS} WHERE s.snapshotter = ? AND s.namespace = ? AND s.key = ?`,
  ),
  list: sql.prepare<[string, string, string, number], Row>(
    `${SNAPSHOTS} WHERE s.snapshotter = ? AND s.namespace = ? AND s.key > ? ORDER BY s.key LIMIT ?`,
  ),
  ancestors: sql
    .prepare<[bigint], bigint>(
      `WITH RECURSIVE ancestors (id, depth) AS (
         SELECT parent, 1 FROM snapshots WHERE id = ? AND parent IS NOT NULL
         UNION ALL
         SELECT s.parent, depth + 1 FROM snapshots s JOIN ancestors a ON s.id = a.id WHERE s.parent IS NOT NULL
       ) SELECT id FROM ancestors ORDER BY depth`,
    )
    .pluck(),
  child: sql.prepare<[bigint]>('SELECT 1 FROM snapshots WHERE parent = ? LIMIT 1'),
  reserve: sql.prepare<[string, string]>(
    "INSERT INTO snapshot_leftovers (namespace, snapshotter, backend_key) VALUES (?, ?, '')",
  ),
  nameLeftover: sql.prepare<[string, bigint]>('UPDATE snapshot_leftovers SET backend_key = ? WHERE id = ?'),
  insert: sql.prepare<[object]>(
    `INSERT INTO snapshots VALUES (
       :id, :namespace, :snapshotter, :name,
       (SELECT id FROM snapshots WHERE namespace = :namespace AND snapshotter = :snapshotter AND key = :parentKey),
       :kind, :backendKey, :size, :inodes, :createdAt, :updatedAt)`,
  ),
  rename: sql.prepare<[object]>(
    `UPDATE snapshots SET key = :name, kind = 'committed', backend_key = :backendKey, size = :size, inodes = :inodes,
       created_at = :createdAt, updated_at = :updatedAt WHERE id = :id`,
  ),
  touch: sql.prepare<[bigint, bigint]>('UPDATE snapshots SET updated_at = ? WHERE id = ?'),
  remove: sql.prepare<[bigint]>('DELETE FROM snapshots WHERE id = ?'),
  shared: sql.prepare<[string, string]>('SELECT 1 FROM snapshots WHERE snapshotter = ? AND backend_key = ? LIMIT 1'),
  labels: sql.prepare<[bigint], [string, string]>('SELECT key, value FROM snapshot_labels WHERE snapshot = ?').raw(),
  addLabel: sql.prepare<[bigint, string, string]>('INSERT INTO snapshot_labels VALUES (?, ?, ?)'),
  clearLabels: sql.prepare<[bigint]>('DELETE FROM snapshot_labels WHERE snapshot = ?'),
  leave: sql.prepare<[bigint, string, string, string]>(
    'INSERT INTO snapshot_leftovers (id, namespace, snapshotter, backend_key) VALUES (?, ?, ?, ?)',
  ),
  leftovers: sql.prepare<[string], Leftover>(
    'SELECT id, namespace, backend_key AS backendKey FROM snapshot_leftovers WHERE snapshotter = ? ORDER BY id',
  ),
  forget: sql.prepare<[bigint]>('DELETE FROM snapshot_leftovers WHERE id = ?'),
  snapshotIds: sql.prepare<[string], bigint>('SELECT id FROM snapshots WHERE snapshotter = ?').pluck(),
  nameOf: sql.prepare<[bigint], { namespace: string; key: string }>(
    'SELECT namespace, key FROM snapshots WHERE id = ?',
  ),
});
