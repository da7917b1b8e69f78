import { notFound } from '../../common/errdefs.ts';
import type { Database } from '../store/database.ts';

/** A blob that is being written. Times in nanoseconds since 1970. */
export interface Ingest {
  readonly id: bigint;
  readonly namespace: string;
  readonly ref: string;
  /** Bytes; 0n: nobody has said. */
  readonly total: bigint;
  /** Digest of another namespace's blob that it stands for; '': it has data of its own. */
  readonly claim: string;
  readonly startedAt: bigint;
}

/** The rows. Methods that write are called inside a transaction. */
export interface IngestStore {
  find(namespace: string, ref: string): Ingest | undefined;
  /** Throws NotFound. */
  get(namespace: string, ref: string): Ingest;
  /** In the order of references. */
  list(namespace: string): Ingest[];
  /** Of all namespaces. */
  all(): Ingest[];
  /** The namespace's row must be there, and none of this reference. */
  insert(ingest: Omit<Ingest, 'id'>): Ingest;
  /** Replaces total, claim and started_at. */
  update(ingest: Ingest): void;
  /** Without a lease it may be collected then. */
  setExpiry(id: bigint, expiresAt: bigint): void;
  /** Gives false if it is gone already. */
  remove(id: bigint): boolean;
}

export const ingestStore = (db: Database): IngestStore => {
  const statements = prepare(db);
  const find = (namespace: string, ref: string): Ingest | undefined => statements.get.get(namespace, ref);
  return {
    find,
    get: (namespace, ref) => {
      const ingest = find(namespace, ref);
      if (ingest === undefined) throw notFound(`reference ${ref}`);
      return ingest;
    },
    list: (namespace) => statements.list.all(namespace),
    all: () => statements.all.all(),
    insert: (ingest) => ({ ...ingest, id: BigInt(statements.insert.run(ingest).lastInsertRowid) }),
    update: (ingest) => void statements.update.run(ingest),
    setExpiry: (id, expiresAt) => void statements.setExpiry.run(expiresAt, id),
    remove: (id) => statements.remove.run(id).changes > 0,
  };
};

const COLUMNS = 'id, namespace, ref, total, claim, started_at AS startedAt';

const prepare = ({ sql }: Database) => ({
  get: sql.prepare<[string, string], Ingest>(`SELECT ${COLUMNS} FROM ingests WHERE namespace = ? AND ref = ?`),
  list: sql.prepare<[string], Ingest>(`SELECT ${COLUMNS} FROM ingests WHERE namespace = ? ORDER BY ref`),
  all: sql.prepare<[], Ingest>(`SELECT ${COLUMNS} FROM ingests`),
  insert: sql.prepare<[object]>(
    `INSERT INTO ingests (namespace, ref, total, claim, started_at)
     VALUES (:namespace, :ref, :total, :claim, :startedAt)`,
  ),
  update: sql.prepare<[object]>(
    'UPDATE ingests SET total = :total, claim = :claim, started_at = :startedAt WHERE id = :id',
  ),
  setExpiry: sql.prepare<[bigint, bigint]>('UPDATE ingests SET expires_at = ? WHERE id = ?'),
  remove: sql.prepare<[bigint]>('DELETE FROM ingests WHERE id = ?'),
});
