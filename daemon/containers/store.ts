import { alreadyExists, notFound } from '../../common/errdefs.ts';
import type { Labels } from '../../common/labels.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import type { Database } from '../store/database.ts';

/** A container is what should exist; its task, if it has one, is what runs. Times in nanoseconds since 1970. */
export interface Container {
  readonly id: string;
  readonly labels: Labels;
  readonly image: string;
  readonly runtime: { readonly name: string; readonly options: Any | undefined };
  readonly spec: Any;
  readonly snapshotter: string;
  readonly snapshotKey: string;
  readonly extensions: ReadonlyMap<string, Any>;
  readonly sandbox: string;
  readonly createdAt: bigint;
  readonly updatedAt: bigint;
}

/** The rows. Methods that write are called inside a transaction. */
export interface ContainerStore {
  find(namespace: string, id: string): Container | undefined;
  /** Throws NotFound. */
  get(namespace: string, id: string): Container;
  /** In the order of ids. `after`: only those behind that id; for reading in pages. */
  list(namespace: string, page?: { readonly after: string; readonly limit: number }): Container[];
  /** Throws AlreadyExists. The namespace's row must be there. */
  insert(namespace: string, container: Container): void;
  /** Replaces all but id and created_at. */
  update(namespace: string, container: Container): void;
  /** Throws NotFound. */
  remove(namespace: string, id: string): void;
  /** Whether the namespace has any. */
  any(namespace: string): boolean;
}

interface Row {
  readonly id: string;
  readonly image: string;
  readonly runtime_name: string;
  readonly runtime_options_type: string | null;
  readonly runtime_options: Buffer | null;
  readonly spec_type: string;
  readonly spec: Buffer;
  readonly snapshotter: string;
  readonly snapshot_key: string;
  readonly sandbox: string;
  readonly created_at: bigint;
  readonly updated_at: bigint;
}

export const containerStore = (db: Database): ContainerStore => {
  const statements = prepare(db);

  const withMaps = (namespace: string, row: Row): Container => ({
    id: row.id,
    labels: new Map(statements.labels.all(namespace, row.id)),
    image: row.image,
    runtime: { name: row.runtime_name, options: any(row.runtime_options_type, row.runtime_options) },
    spec: { typeUrl: row.spec_type, value: row.spec },
    snapshotter: row.snapshotter,
    snapshotKey: row.snapshot_key,
    extensions: new Map(
      statements.extensions.all(namespace, row.id).map(([name, typeUrl, value]) => [name, { typeUrl, value }]),
    ),
    sandbox: row.sandbox,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  });

  const writeMaps = (namespace: string, { id, labels, extensions }: Container): void => {
    for (const [key, value] of labels) statements.addLabel.run(namespace, id, key, value);
    for (const [name, { typeUrl, value }] of extensions)
      statements.addExtension.run(namespace, id, name, typeUrl, value);
  };

  const find = (namespace: string, id: string): Container | undefined => {
    const row = statements.get.get(namespace, id);
    return row === undefined ? undefined : withMaps(namespace, row);
  };

  return {
    find,
    get: (namespace, id) => {
      const container = find(namespace, id);
      if (container !== undefined) return container;
      throw notFound(`container ${JSON.stringify(id)} in namespace ${JSON.stringify(namespace)}`);
    },
    list: (namespace, page) =>
      statements.list.all(namespace, page?.after ?? '', page?.limit ?? -1).map((row) => withMaps(namespace, row)),
    insert: (namespace, container) => {
      if (statements.insert.run({ namespace, ...columns(container), createdAt: container.createdAt }).changes === 0) {
        throw alreadyExists('container', container.id);
      }
      writeMaps(namespace, container);
    },
    update: (namespace, container) => {
      statements.update.run({ namespace, ...columns(container) });
      statements.clearLabels.run(namespace, container.id);
      statements.clearExtensions.run(namespace, container.id);
      writeMaps(namespace, container);
    },
    remove: (namespace, id) => {
      if (statements.remove.run(namespace, id).changes === 0) throw notFound(`container ${id}`);
    },
    any: (namespace) => statements.any.get(namespace) !== undefined,
  };
};

const any = (typeUrl: string | null, value: Buffer | null): Any | undefined =>
  typeUrl === null || value === null ? undefined : { typeUrl, value };

const columns = (container: Container) => ({
  id: container.id,
  image: container.image,
  runtime: container.runtime.name,
  optionsType: container.runtime.options?.typeUrl ?? null,
  options: container.runtime.options?.value ?? null,
  specType: container.spec.typeUrl,
  spec: container.spec.value,
  snapshotter: container.snapshotter,
  snapshotKey: container.snapshotKey,
  sandbox: container.sandbox,
  updatedAt: container.updatedAt,
});

const prepare = ({ sql }: Database) => ({
  get: sql.prepare<[string, string], Row>('SELECT * FROM containers WHERE namespace = ? AND id = ?'),
  list: sql.prepare<[string, string, number], Row>(
    'SELECT * FROM containers WHERE namespace = ? AND id > ? ORDER BY id LIMIT ?',
  ),
  any: sql.prepare<[string]>('SELECT 1 FROM containers WHERE namespace = ? LIMIT 1'),
  insert: sql.prepare<[object]>(
    `INSERT INTO containers VALUES (
       :namespace, :id, :image, :runtime, :optionsType, :options, :specType, :spec,
       :snapshotter, :snapshotKey, :sandbox, :createdAt, :updatedAt)
     ON CONFLICT DO NOTHING`,
  ),
  update: sql.prepare<[object]>(
    `UPDATE containers SET image = :image, runtime_name = :runtime, runtime_options_type = :optionsType,
       runtime_options = :options, spec_type = :specType, spec = :spec, snapshotter = :snapshotter,
       snapshot_key = :snapshotKey, sandbox = :sandbox, updated_at = :updatedAt
     WHERE namespace = :namespace AND id = :id`,
  ),
  remove: sql.prepare<[string, string]>('DELETE FROM containers WHERE namespace = ? AND id = ?'),
  labels: sql
    .prepare<[string, string], [string, string]>(
      'SELECT key, value FROM container_labels WHERE namespace = ? AND container = ?',
    )
    .raw(),
  addLabel: sql.prepare<[string, string, string, string]>('INSERT INTO container_labels VALUES (?, ?, ?, ?)'),
  clearLabels: sql.prepare<[string, string]>('DELETE FROM container_labels WHERE namespace = ? AND container = ?'),
  extensions: sql
    .prepare<[string, string], [string, string, Buffer]>(
      'SELECT name, type_url, value FROM container_extensions WHERE namespace = ? AND container = ?',
    )
    .raw(),
  addExtension: sql.prepare<[string, string, string, string, Uint8Array]>(
    'INSERT INTO container_extensions VALUES (?, ?, ?, ?, ?)',
  ),
  clearExtensions: sql.prepare<[string, string]>(
    'DELETE FROM container_extensions WHERE namespace = ? AND container = ?',
  ),
});
