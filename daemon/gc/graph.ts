import type { Labels } from '../../common/labels.ts';
import type { Database } from '../store/database.ts';
import type { Graph, Root } from './mark.ts';
import {
  backReferences,
  type Collectable,
  isExpired,
  isFlat,
  isRoot,
  type Kind,
  type Node,
  nodeText,
  references,
  splitSnapshotKey,
} from './nodes.ts';

/** Rows that are read at once: a marking lets others on between two such pages. */
const PAGE = 200;

/** What refers to what, read from the rows. */
export interface RowGraph extends Graph {
  /** All that there is of a kind that can be collected, a page at a time; a snapshot before those it is built on. */
  pages(kind: Collectable): Generator<Node[], void, void>;
}

/** The graph as it is now; `nowMs` decides what has expired, for the whole marking. */
export const rowGraph = (db: Database, nowMs: number): RowGraph => {
  const statements = prepare(db);
  const reversed = statements.backReferenced();

  const labelsOf = ({ kind, namespace, key }: Node): Labels => {
    switch (kind) {
      case 'content':
        return new Map(statements.contentLabels.all(namespace, key));
      case 'image':
        return new Map(statements.imageLabels.all(namespace, key));
      case 'snapshot':
        return new Map(statements.snapshotLabels.all(namespace, ...splitSnapshotKey(key)));
      case 'lease':
        return new Map(statements.leaseLabels.all(namespace, key));
      case 'container':
        return new Map(statements.containerLabels.all(namespace, key));
      case 'ingest':
        return new Map();
    }
  };

  /** What a node keeps by its rows, without its labels. */
  const direct = ({ kind, namespace, key }: Node): Node[] => {
    switch (kind) {
      case 'image':
        return statements.imageTarget
          .all(namespace, key)
          .map((digest) => ({ kind: 'content', namespace, key: digest }));
      case 'snapshot':
        return parentOf(namespace, key);
      case 'lease':
        return statements.resources.all(namespace, key).flatMap((row) => resourceNode(namespace, row));
      case 'container':
        return statements.containerSnapshot
          .all(namespace, key)
          .map(([snapshotter, name]) => ({ kind: 'snapshot', namespace, key: `${snapshotter}/${name}` }));
      case 'content':
      case 'ingest':
        return [];
    }
  };

  const parentOf = (namespace: string, key: string): Node[] => {
    const [snapshotter] = splitSnapshotKey(key);
    return statements.parent
      .all(namespace, ...splitSnapshotKey(key))
      .map((name) => ({ kind: 'snapshot', namespace, key: `${snapshotter}/${name}` }));
  };

  const roots = function* (): Generator<Root | undefined, void, void> {
    for (const page of pages('lease')) {
      for (const node of page) {
        const labels = labelsOf(node);
        yield isExpired(labels, nowMs) ? undefined : { node, flat: isFlat(labels) };
      }
    }
    for (const page of pages('image')) {
      for (const node of page) yield isExpired(labelsOf(node), nowMs) ? undefined : { node, flat: false };
    }
    for (const kind of ['content', 'snapshot'] as const) {
      for (const page of pages(kind)) {
        for (const node of page) yield isRoot(labelsOf(node)) ? { node, flat: false } : undefined;
      }
    }
    for (const page of pages('container')) for (const node of page) yield { node, flat: false };
    const now = BigInt(nowMs) * 1_000_000n;
    for (const page of pages('ingest')) {
      for (const node of page) {
        const [expires] = statements.ingestExpiry.all(node.namespace, node.key);
        const waits = expires !== undefined && expires !== null && expires > now;
        yield waits ? { node, flat: false } : undefined;
      }
    }
  };

  const pages = function* (kind: Kind): Generator<Node[], void, void> {
    if (kind === 'snapshot') {
      let before: bigint = MAX_ID;
      for (;;) {
        const rows = statements.snapshots.all(before, PAGE);
        if (rows.length === 0) return;
        before = rows.at(-1)?.[0] ?? 0n;
        yield rows.map(([, namespace, snapshotter, name]) => ({ kind, namespace, key: `${snapshotter}/${name}` }));
      }
    }
    let [namespace, key] = ['', ''];
    for (;;) {
      const rows = statements.page[kind].all(namespace, key, PAGE);
      if (rows.length === 0) return;
      [namespace, key] = rows.at(-1) ?? ['', ''];
      yield rows.map(([ofNamespace, ofKey]) => ({ kind, namespace: ofNamespace, key: ofKey }));
    }
  };

  return {
    roots,
    pages,
    references: (node) => [
      ...direct(node),
      ...references(node.namespace, labelsOf(node)),
      ...(reversed.get(nodeText(node)) ?? []),
    ],
    flatReferences: (node) => (node.kind === 'snapshot' || node.kind === 'lease' ? direct(node) : []),
  };
};

const MAX_ID = 2n ** 62n;

const resourceNode = (namespace: string, [type, id]: readonly [type: string, id: string]): Node[] => {
  if (type === 'content') return [{ kind: 'content', namespace, key: id }];
  if (type === 'ingests') return [{ kind: 'ingest', namespace, key: id }];
  if (type === 'images') return [{ kind: 'image', namespace, key: id }];
  if (!type.startsWith('snapshots/')) return [];
  return [{ kind: 'snapshot', namespace, key: `${type.slice('snapshots/'.length)}/${id}` }];
};

type Strings = [string, string];

const prepare = ({ sql }: Database) => {
  const labels = (table: string, owner: string) =>
    sql.prepare<Strings, Strings>(`SELECT key, value FROM ${table} WHERE namespace = ? AND ${owner} = ?`).raw();
  const page = (table: string, key: string) =>
    sql
      .prepare<[string, string, number], Strings>(
        `SELECT namespace, ${key} FROM ${table} WHERE (namespace, ${key}) > (?, ?) ORDER BY namespace, ${key} LIMIT ?`,
      )
      .raw();
  return {
    contentLabels: labels('content_labels', 'digest'),
    imageLabels: labels('image_labels', 'image'),
    leaseLabels: labels('lease_labels', 'lease'),
    containerLabels: labels('container_labels', 'container'),
    snapshotLabels: sql
      .prepare<[string, string, string], Strings>(
        `SELECT l.key, l.value FROM snapshots s JOIN snapshot_labels l ON l.snapshot = s.id
         WHERE s.namespace = ? AND s.snapshotter = ? AND s.key = ?`,
      )
      .raw(),
    imageTarget: sql.prepare<Strings, string>('SELECT digest FROM images WHERE namespace = ? AND name = ?').pluck(),
    resources: sql
      .prepare<Strings, Strings>('SELECT type, id FROM lease_resources WHERE namespace = ? AND lease = ?')
      .raw(),
    containerSnapshot: sql
      .prepare<Strings, Strings>(
        `SELECT snapshotter, snapshot_key FROM containers WHERE namespace = ? AND id = ? AND snapshot_key <> ''`,
      )
      .raw(),
    parent: sql
      .prepare<[string, string, string], string>(
        `SELECT p.key FROM snapshots s JOIN snapshots p ON p.id = s.parent
         WHERE s.namespace = ? AND s.snapshotter = ? AND s.key = ?`,
      )
      .pluck(),
    ingestExpiry: sql
      .prepare<Strings, bigint | null>('SELECT expires_at FROM ingests WHERE namespace = ? AND ref = ?')
      .pluck(),
    snapshots: sql
      .prepare<[bigint, number], [bigint, string, string, string]>(
        'SELECT id, namespace, snapshotter, key FROM snapshots WHERE id < ? ORDER BY id DESC LIMIT ?',
      )
      .raw(),
    page: {
      content: page('content', 'digest'),
      image: page('images', 'name'),
      lease: page('leases', 'id'),
      ingest: page('ingests', 'ref'),
      container: page('containers', 'id'),
    },
    /** By what is referred back to: few have such labels, so all are read at once. */
    backReferenced: (): ReadonlyMap<string, readonly Node[]> => {
      const found = new Map<string, Node[]>();
      const of = (kind: Kind, table: string): void => {
        const rows = sql.prepare<[], [string, string, string, string]>(table).raw().all();
        for (const [namespace, key, label, value] of rows) {
          for (const target of backReferences(namespace, new Map([[label, value]]))) {
            const list = found.get(nodeText(target)) ?? [];
            list.push({ kind, namespace, key });
            found.set(nodeText(target), list);
          }
        }
      };
      const like = `LIKE 'containerd.io/gc.bref.%'`;
      of('content', `SELECT namespace, digest, key, value FROM content_labels WHERE key ${like}`);
      of('image', `SELECT namespace, image, key, value FROM image_labels WHERE key ${like}`);
      of(
        'snapshot',
        `SELECT s.namespace, s.snapshotter || '/' || s.key, l.key, l.value
         FROM snapshot_labels l JOIN snapshots s ON s.id = l.snapshot WHERE l.key ${like}`,
      );
      return found;
    },
  };
};
