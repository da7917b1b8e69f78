import { parentPort, workerData } from 'node:worker_threads';
import BetterSqlite3 from 'better-sqlite3';
import { messageOf } from '../../common/errdefs.ts';
import type { CheckpointReply, CheckpointRequest } from './checkpoint.ts';

/** Rounds in one life of the worker. Each moves what was written during the one before, so they get shorter. */
const ROUNDS_MAX = 8;

/**
 * Moves the write-ahead log into the database file. PASSIVE: it never takes the write lock, so the main thread, which
 * cannot wait, never meets it.
 */
const run = (path: string): CheckpointReply => {
  const sql = new BetterSqlite3(path, { fileMustExist: true });
  try {
    sql.pragma('synchronous = NORMAL');
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const [result] = sql.pragma('wal_checkpoint(PASSIVE)') as [{ busy: number; log: number; checkpointed: number }];
      if (result.busy === 0 && result.log === result.checkpointed) return { complete: true };
    }
    return { complete: false };
  } finally {
    sql.close();
  }
};

const { path } = workerData as CheckpointRequest;
let reply: CheckpointReply;
try {
  reply = run(path);
} catch (error) {
  reply = { error: messageOf(error) };
}
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker's port has no origins
parentPort?.postMessage(reply);
