import type BetterSqlite3 from 'better-sqlite3';
import type { Logger } from 'pino';
import { failedPrecondition } from '../../common/errdefs.ts';
import { migrations } from './migrations/all.ts';

/** Brings the schema to the newest version; `user_version` counts the migrations that have run. */
export const migrate = (sql: BetterSqlite3.Database, log: Logger): void => {
  const version = Number(sql.pragma('user_version', { simple: true }));
  if (version > migrations.length) {
    throw failedPrecondition(
      `the metadata is of a newer version (schema ${version}) than this program knows (${migrations.length})`,
    );
  }
  for (const [index, migration] of migrations.entries()) {
    if (index < version) continue;
    sql
      .transaction(() => {
        sql.exec(migration.sql);
        sql.pragma(`user_version = ${index + 1}`);
      })
      .immediate();
    log.info({ migration: migration.name }, 'metadata migrated');
  }
};
