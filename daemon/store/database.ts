import { closeSync, fsyncSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import BetterSqlite3 from 'better-sqlite3';
import type { Logger } from 'pino';
import { Checkpointer } from './checkpoint.ts';
import { GroupedSync } from './grouped-sync.ts';
import { migrate } from './migrate.ts';

/**
 * The metadata: one SQLite file in WAL mode, used from the main thread. Every INTEGER is read as a bigint
 * (`defaultSafeIntegers`), because nanosecond times do not fit a double; numbers may be bound all the same.
 */
export interface Database {
  readonly sql: BetterSqlite3.Database;
  /**
   * Runs `body` in a transaction that holds the write lock from its beginning; a nested one is a savepoint. A throw
   * undoes it. `body` is synchronous: after an await, other calls would write into this transaction.
   */
  transaction<T>(body: () => T): T;
  /** Resolves when everything committed before the call is on the disk. Concurrent callers share one fdatasync. */
  durable(): Promise<void>;
  close(): Promise<void>;
}

/** Opens the metadata at `path`, makes it if it is new, and brings its schema up to date. */
export const openDatabase = async (path: string, log: Logger): Promise<Database> => {
  const sql = open(path);
  try {
    migrate(sql, log);
    // The names of the files as well: without this, a power cut could take a database whose pages were synced.
    syncDirectory(dirname(path));
    const sync = await GroupedSync.open(`${path}-wal`);
    return database(sql, sync, new Checkpointer(sql, `${path}-wal`, log));
  } catch (error) {
    sql.close();
    throw error;
  }
};

const open = (path: string): BetterSqlite3.Database => {
  const sql = new BetterSqlite3(path);
  sql.defaultSafeIntegers(true);
  sql.pragma('journal_mode = WAL');
  // No sync at commit: `durable()` does it in the thread pool. NORMAL still syncs where a torn WAL could do harm.
  sql.pragma('synchronous = NORMAL');
  sql.pragma('wal_autocheckpoint = 0');
  sql.pragma('foreign_keys = ON');
  sql.pragma('trusted_schema = OFF');
  return sql;
};

const database = (sql: BetterSqlite3.Database, sync: GroupedSync, checkpointer: Checkpointer): Database => ({
  sql,
  transaction: (body) => {
    const synchronous = (): ReturnType<typeof body> => {
      const result = body();
      if (result instanceof Promise) throw new Error('a transaction was given an async function');
      return result;
    };
    return sql.transaction(synchronous).immediate();
  },
  durable: async () => {
    await sync.run();
    await checkpointer.afterSync();
  },
  close: async () => {
    await checkpointer.close();
    await sync.close();
    sql.close();
  },
});

const syncDirectory = (path: string): void => {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
};
