import { alreadyExists, notFound } from '../../common/errdefs.ts';
import type { Labels } from '../../common/labels.ts';
import type { Database } from '../store/database.ts';

/** What an image's name stands for. */
export interface Target {
  readonly mediaType: string;
  readonly digest: string;
  /** Bytes. */
  readonly size: bigint;
  readonly annotations: ReadonlyMap<string, string>;
}

/** A name for content. Times in nanoseconds since 1970. */
export interface Image {
  readonly name: string;
  readonly labels: Labels;
  readonly target: Target;
  readonly createdAt: bigint;
  readonly updatedAt: bigint;
}

/** The rows. Methods that write are called inside a transaction. */
export interface ImageStore {
  /** Throws NotFound. */
  get(namespace: string, name: string): Image;
  /** In the order of names. */
  list(namespace: string): Image[];
  /** Whether the namespace has any. */
  any(namespace: string): boolean;
  /** Throws AlreadyExists. The namespace's row must be there. */
  insert(namespace: string, image: Image): void;
  /** Replaces all but name and created_at. */
  update(namespace: string, image: Image): void;
  /** Throws NotFound. */
  remove(namespace: string, name: string): void;
}

interface Row {
  readonly name: string;
  readonly digest: string;
  readonly media_type: string;
  readonly size: bigint;
  readonly created_at: bigint;
  readonly updated_at: bigint;
}

export const imageStore = (db: Database): ImageStore => {
  const statements = prepare(db);
  const fromRow = (namespace: string, row: Row): Image => ({
    name: row.name,
    labels: new Map(statements.labels.all(namespace, row.name)),
    target: {
      mediaType: row.media_type,
      digest: row.digest,
      size: row.size,
      annotations: new Map(statements.annotations.all(namespace, row.name)),
    },
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  });
  const addMaps = (namespace: string, { name, labels, target }: Image): void => {
    for (const [key, value] of labels) statements.addLabel.run(namespace, name, key, value);
    for (const [key, value] of target.annotations) statements.addAnnotation.run(namespace, name, key, value);
  };

  return {
    get: (namespace, name) => {
      const row = statements.get.get(namespace, name);
      if (row === undefined) throw notFound('image', name);
      return fromRow(namespace, row);
    },
    list: (namespace) => statements.list.all(namespace).map((row) => fromRow(namespace, row)),
    any: (namespace) => statements.any.get(namespace) !== undefined,
    insert: (namespace, image) => {
      if (statements.insert.run({ namespace, ...columns(image) }).changes === 0) {
        throw alreadyExists('image', image.name);
      }
      addMaps(namespace, image);
    },
    update: (namespace, image) => {
      statements.update.run({ namespace, ...columns(image) });
      statements.clearLabels.run(namespace, image.name);
      statements.clearAnnotations.run(namespace, image.name);
      addMaps(namespace, image);
    },
    remove: (namespace, name) => {
      if (statements.remove.run(namespace, name).changes === 0) throw notFound('image', name);
    },
  };
};

const columns = ({ name, target, createdAt, updatedAt }: Image) => ({
  name,
  digest: target.digest,
  mediaType: target.mediaType,
  size: target.size,
  createdAt,
  updatedAt,
});

const prepare = ({ sql }: Database) => ({
  get: sql.prepare<[string, string], Row>('SELECT * FROM images WHERE namespace = ? AND name = ?'),
  list: sql.prepare<[string], Row>('SELECT * FROM images WHERE namespace = ? ORDER BY name'),
  any: sql.prepare<[string]>('SELECT 1 FROM images WHERE namespace = ? LIMIT 1'),
  insert: sql.prepare<[object]>(
    `INSERT INTO images VALUES (:namespace, :name, :digest, :mediaType, :size, :createdAt, :updatedAt)
     ON CONFLICT DO NOTHING`,
  ),
  update: sql.prepare<[object]>(
    `UPDATE images SET digest = :digest, media_type = :mediaType, size = :size, updated_at = :updatedAt
     WHERE namespace = :namespace AND name = :name`,
  ),
  remove: sql.prepare<[string, string]>('DELETE FROM images WHERE namespace = ? AND name = ?'),
  labels: sql
    .prepare<[string, string], [string, string]>(
      'SELECT key, value FROM image_labels WHERE namespace = ? AND image = ?',
    )
    .raw(),
  annotations: sql
    .prepare<[string, string], [string, string]>(
      'SELECT key, value FROM image_annotations WHERE namespace = ? AND image = ?',
    )
    .raw(),
  addLabel: sql.prepare<[string, string, string, string]>('INSERT INTO image_labels VALUES (?, ?, ?, ?)'),
  addAnnotation: sql.prepare<[string, string, string, string]>('INSERT INTO image_annotations VALUES (?, ?, ?, ?)'),
  clearLabels: sql.prepare<[string, string]>('DELETE FROM image_labels WHERE namespace = ? AND image = ?'),
  clearAnnotations: sql.prepare<[string, string]>('DELETE FROM image_annotations WHERE namespace = ? AND image = ?'),
});
