import { notFound } from '../../common/errdefs.ts';
import type { Labels } from '../../common/labels.ts';
import type { Database } from '../store/database.ts';

/** A blob as one namespace sees it. Times in nanoseconds since 1970. */
export interface Content {
  readonly digest: string;
  /** Bytes. */
  readonly size: bigint;
  readonly labels: Labels;
  readonly createdAt: bigint;
  readonly updatedAt: bigint;
}

/** The rows: which namespace has which blob. Methods that write are called inside a transaction. */
export interface ContentStore {
  find(namespace: string, digest: string): Content | undefined;
  /** Throws NotFound. */
  get(namespace: string, digest: string): Content;
  /** In the order of digests. `after`: only those behind that digest; for reading in pages. */
  list(namespace: string, page: { readonly after: string; readonly limit: number }): Content[];
  /** Whether the namespace has any. */
  any(namespace: string): boolean;
  /** Gives false, and changes nothing, if the namespace has it. The namespace's row must be there. */
  insert(namespace: string, content: Content): boolean;
  /** Replaces labels and updated_at. */
  update(namespace: string, content: Content): void;
  /** Throws NotFound. */
  remove(namespace: string, digest: string): void;
  /** Size of the blob if any namespace has it; with `shareable` only of one that shares by its label. */
  sizeAnywhere(digest: string, only?: 'shareable'): bigint | undefined;
  /** Whether a namespace has the blob, or an ingest stands for it. */
  isReferenced(digest: string): boolean;
}

/** Label of a namespace whose content others may have for naming its digest, whatever the policy. Source: containerd. */
const SHAREABLE_LABEL = 'containerd.io/namespace.shareable';

interface Row {
  readonly digest: string;
  readonly size: bigint;
  readonly created_at: bigint;
  readonly updated_at: bigint;
}

export const contentStore = (db: Database): ContentStore => {
  const statements = prepare(db);
  const fromRow = (namespace: string, row: Row): Content => ({
    digest: row.digest,
    size: row.size,
    labels: new Map(statements.labels.all(namespace, row.digest)),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  });
  const find = (namespace: string, digest: string): Content | undefined => {
    const row = statements.get.get(namespace, digest);
    return row === undefined ? undefined : fromRow(namespace, row);
  };
  const addLabels = (namespace: string, { digest, labels }: Content): void => {
    for (const [key, value] of labels) statements.addLabel.run(namespace, digest, key, value);
  };

  return {
    find,
    get: (namespace, digest) => {
      const content = find(namespace, digest);
      if (content === undefined) throw notFound(`content digest ${digest}`);
      return content;
    },
    list: (namespace, { after, limit }) =>
      statements.list.all(namespace, after, limit).map((row) => fromRow(namespace, row)),
    any: (namespace) => statements.any.get(namespace) !== undefined,
    insert: (namespace, content) => {
      const { digest, size, createdAt, updatedAt } = content;
      if (statements.insert.run(namespace, digest, size, createdAt, updatedAt).changes === 0) return false;
      addLabels(namespace, content);
      return true;
    },
    update: (namespace, content) => {
      statements.touch.run(content.updatedAt, namespace, content.digest);
      statements.clearLabels.run(namespace, content.digest);
      addLabels(namespace, content);
    },
    remove: (namespace, digest) => {
      if (statements.remove.run(namespace, digest).changes === 0) throw notFound(`content digest ${digest}`);
    },
    sizeAnywhere: (digest, only) =>
      only === undefined ? statements.size.get(digest) : statements.shareableSize.get(digest, SHAREABLE_LABEL),
    isReferenced: (digest) => statements.referenced.get(digest, digest) === 1n,
  };
};

const prepare = ({ sql }: Database) => ({
  get: sql.prepare<[string, string], Row>('SELECT * FROM content WHERE namespace = ? AND digest = ?'),
  list: sql.prepare<[string, string, number], Row>(
    'SELECT * FROM content WHERE namespace = ? AND digest > ? ORDER BY digest LIMIT ?',
  ),
  any: sql.prepare<[string]>('SELECT 1 FROM content WHERE namespace = ? LIMIT 1'),
  insert: sql.prepare<[string, string, bigint, bigint, bigint]>(
    'INSERT INTO content VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
  ),
  touch: sql.prepare<[bigint, string, string]>('UPDATE content SET updated_at = ? WHERE namespace = ? AND digest = ?'),
  remove: sql.prepare<[string, string]>('DELETE FROM content WHERE namespace = ? AND digest = ?'),
  labels: sql
    .prepare<[string, string], [string, string]>(
      'SELECT key, value FROM content_labels WHERE namespace = ? AND digest = ?',
    )
    .raw(),
  addLabel: sql.prepare<[string, string, string, string]>('INSERT INTO content_labels VALUES (?, ?, ?, ?)'),
  clearLabels: sql.prepare<[string, string]>('DELETE FROM content_labels WHERE namespace = ? AND digest = ?'),
  size: sql.prepare<[string], bigint>('SELECT size FROM content WHERE digest = ? LIMIT 1').pluck(),
  shareableSize: sql
    .prepare<[string, string], bigint>(
      `SELECT size FROM content JOIN namespace_labels USING (namespace)
       WHERE digest = ? AND key = ? AND value = 'true' LIMIT 1`,
    )
    .pluck(),
  referenced: sql
    .prepare<[string, string], bigint>(
      'SELECT EXISTS (SELECT 1 FROM content WHERE digest = ?) OR EXISTS (SELECT 1 FROM ingests WHERE claim = ?)',
    )
    .pluck(),
});
