import type { Database } from '../database.ts';

/** A shim as it is written down. */
export interface ShimRow {
  /** For our own shims the hash of common/bootstrap.ts, for others `<namespace>/<id>`. */
  readonly key: string;
  readonly namespace: string;
  /** The container for which it was started; others of its group may have come since. */
  readonly id: string;
  readonly group: string;
  /** Absolute path of the binary that is called by the public protocol; '': our own shim. */
  readonly binary: string;
  /** `unix:///…`; '': it has not said yet. */
  readonly address: string;
  /** Of the Task API: 2 or 3. */
  readonly version: number;
  /** 0: not known. */
  readonly pid: number;
  /** Of that process, clock ticks since the boot. */
  readonly startTime: bigint;
  readonly bootId: string;
}

/** Methods that write are called inside a transaction. */
export interface ShimTable {
  get(key: string): ShimRow | undefined;
  list(): ShimRow[];
  /** Inserts or replaces; keeps the source. */
  put(row: ShimRow): void;
  remove(key: string): void;
  /** What the shim's events name as their sender; '' if none came yet. */
  source(key: string): string;
  setSource(key: string, source: string): void;
}

interface Raw {
  readonly key: string;
  readonly namespace: string;
  readonly id: string;
  readonly grp: string;
  readonly binary: string;
  readonly address: string;
  readonly version: bigint;
  readonly pid: bigint;
  readonly start_time: bigint;
  readonly boot_id: string;
}

export const shimTable = (db: Database): ShimTable => {
  const statements = prepare(db);
  return {
    get: (key) => {
      const raw = statements.get.get(key);
      return raw === undefined ? undefined : fromRaw(raw);
    },
    list: () => statements.list.all().map(fromRaw),
    put: (row) => void statements.put.run(row),
    remove: (key) => void statements.remove.run(key),
    source: (key) => statements.source.get(key) ?? '',
    setSource: (key, source) => void statements.setSource.run(source, key),
  };
};

const fromRaw = (raw: Raw): ShimRow => ({
  key: raw.key,
  namespace: raw.namespace,
  id: raw.id,
  group: raw.grp,
  binary: raw.binary,
  address: raw.address,
  version: Number(raw.version),
  pid: Number(raw.pid),
  startTime: raw.start_time,
  bootId: raw.boot_id,
});

const prepare = ({ sql }: Database) => ({
  get: sql.prepare<[string], Raw>('SELECT * FROM shims WHERE key = ?'),
  list: sql.prepare<[], Raw>('SELECT * FROM shims ORDER BY key'),
  put: sql.prepare<[object]>(
    `INSERT INTO shims VALUES (
       :key, :namespace, :id, :group, :binary, :address, :version, :pid, :startTime, :bootId, '')
     ON CONFLICT (key) DO UPDATE SET namespace = :namespace, id = :id, grp = :group, binary = :binary,
       address = :address, version = :version, pid = :pid, start_time = :startTime, boot_id = :bootId`,
  ),
  remove: sql.prepare<[string]>('DELETE FROM shims WHERE key = ?'),
  source: sql.prepare<[string], string>('SELECT source FROM shims WHERE key = ?').pluck(),
  setSource: sql.prepare<[string, string]>('UPDATE shims SET source = ? WHERE key = ?'),
});
