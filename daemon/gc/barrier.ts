import type { Database } from '../store/database.ts';
import type { Kind, Node } from './nodes.ts';

/** Table → of whose node its rows are, in terms of the row NEW. */
const WATCHED: readonly {
  readonly table: string;
  readonly kind: Kind;
  readonly namespace: string;
  readonly key: string;
}[] = [
  ...(['content', 'content_labels'] as const).map((table) => ({ ...plain(table, 'content', 'digest') })),
  plain('images', 'image', 'name'),
  plain('image_labels', 'image', 'image'),
  plain('ingests', 'ingest', 'ref'),
  plain('leases', 'lease', 'id'),
  plain('lease_labels', 'lease', 'lease'),
  plain('lease_resources', 'lease', 'lease'),
  plain('containers', 'container', 'id'),
  plain('container_labels', 'container', 'container'),
  { table: 'snapshots', kind: 'snapshot', namespace: 'NEW.namespace', key: `NEW.snapshotter || '/' || NEW.key` },
  {
    table: 'snapshot_labels',
    kind: 'snapshot',
    namespace: '(SELECT namespace FROM snapshots WHERE id = NEW.snapshot)',
    key: `(SELECT snapshotter || '/' || key FROM snapshots WHERE id = NEW.snapshot)`,
  },
];

function plain(table: string, kind: Kind, key: string) {
  return { table, kind, namespace: 'NEW.namespace', key: `NEW.${key}` };
}

/**
 * Notes what is made or changed while a collection goes on, whoever does it: triggers of our connection, which is the
 * only one that writes. They are there for as long as a collection is.
 */
export class Barrier implements Disposable {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
    db.sql.exec('CREATE TEMP TABLE IF NOT EXISTS gc_touched (kind TEXT, namespace TEXT, key TEXT) STRICT');
    db.sql.exec('DELETE FROM temp.gc_touched');
    for (const { table, kind, namespace, key } of WATCHED) {
      for (const verb of ['INSERT', 'UPDATE']) {
        db.sql.exec(
          `CREATE TEMP TRIGGER IF NOT EXISTS gc_${table}_${verb} AFTER ${verb} ON main.${table} BEGIN
             INSERT INTO gc_touched VALUES ('${kind}', ${namespace}, ${key}); END`,
        );
      }
    }
  }

  /** What has been touched since the last time. */
  drain(): Node[] {
    const rows = this.#db.sql
      .prepare<[], [Kind, string, string]>('SELECT DISTINCT kind, namespace, key FROM temp.gc_touched')
      .raw()
      .all();
    if (rows.length > 0) this.#db.sql.exec('DELETE FROM temp.gc_touched');
    return rows.map(([kind, namespace, key]) => ({ kind, namespace, key }));
  }

  [Symbol.dispose](): void {
    for (const { table } of WATCHED) {
      for (const verb of ['INSERT', 'UPDATE']) this.#db.sql.exec(`DROP TRIGGER IF EXISTS temp.gc_${table}_${verb}`);
    }
  }
}
