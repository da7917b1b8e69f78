import { statSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type BetterSqlite3 from 'better-sqlite3';
import type { Logger } from 'pino';
import { messageOf } from '../../common/errdefs.ts';

/** The write-ahead log is moved into the database file when it is longer than this, and again at each multiple. */
const WAL_BYTES_TARGET = 4 << 20;

/**
 * Beyond this, `durable()` waits for the checkpoint. A checkpoint only empties the log if nothing is written meanwhile,
 * so without this a steady stream of writers could make it grow for ever; made to wait, they leave a gap.
 */
const WAL_BYTES_MAX = 64 << 20;

/** What the worker is given, and what it answers. */
export interface CheckpointRequest {
  readonly path: string;
}
export type CheckpointReply = { readonly complete: boolean } | { readonly error: string };

/**
 * Checkpoints in a worker thread with a connection of its own: their syncs never hold up the main thread. The worker
 * lives only while there is something to move, because an idle thread would cost megabytes.
 */
export class Checkpointer {
  readonly #sql: BetterSqlite3.Database;
  readonly #wal: string;
  readonly #log: Logger;
  #running: Promise<void> | undefined;
  #nextBytes = WAL_BYTES_TARGET;
  #headerUnsynced = false;

  constructor(sql: BetterSqlite3.Database, wal: string, log: Logger) {
    this.#sql = sql;
    this.#wal = wal;
    this.#log = log;
    // Should SQLite itself begin the log anew, the file does not stay long.
    sql.pragma(`journal_size_limit = ${WAL_BYTES_TARGET}`);
  }

  /** Called after each sync; waits only when the log is far too long. */
  async afterSync(): Promise<void> {
    if (this.#headerUnsynced) this.#setHeaderSync(true); // this sync was the header's too
    const bytes = this.#bytes();
    if (bytes > this.#nextBytes) this.#running ??= this.#run().finally(() => (this.#running = undefined));
    if (bytes > WAL_BYTES_MAX) await this.#running;
  }

  /** Lets the one under way end. */
  async close(): Promise<void> {
    await this.#running;
  }

  #bytes(): number {
    return statSync(this.#wal, { throwIfNoEntry: false })?.size ?? 0;
  }

  async #run(): Promise<void> {
    const began = performance.now();
    try {
      const complete = await checkpoint(this.#sql.name);
      const emptied = complete && this.#empty();
      // Writers came in between: wait for another stretch of log before the next try.
      this.#nextBytes = emptied ? WAL_BYTES_TARGET : Math.min(this.#bytes() + WAL_BYTES_TARGET, WAL_BYTES_MAX);
      this.#log.debug({ durationMs: Math.round(performance.now() - began), emptied }, 'metadata checkpointed');
    } catch (error) {
      // Nothing is lost: the log only stays longer.
      this.#nextBytes = Math.min(this.#bytes() + WAL_BYTES_TARGET, WAL_BYTES_MAX);
      this.#log.warn({ err: messageOf(error) }, 'metadata checkpoint failed');
    }
  }

  /**
   * Cuts the log to nothing if all of it has been moved; false if somebody has written since. That needs no sync. Nor
   * does the header of the new log, which SQLite would else sync at once, on this thread: that is for a header above
   * frames of the log before, and in an emptied file there are none.
   */
  #empty(): boolean {
    if (!this.#allMoved()) return false;
    const timeout = Number(this.#sql.pragma('busy_timeout', { simple: true }));
    this.#sql.pragma('busy_timeout = 0'); // a reader from outside (a backup) is not waited for
    this.#sql.pragma('wal_checkpoint(TRUNCATE)');
    this.#sql.pragma(`busy_timeout = ${timeout}`);
    if (this.#bytes() > 0) return false;
    this.#setHeaderSync(false);
    return true;
  }

  /** NOOP moves nothing and takes no lock: it only counts. */
  #allMoved(): boolean {
    const [{ log, checkpointed }] = this.#sql.pragma('wal_checkpoint(NOOP)') as [{ log: bigint; checkpointed: bigint }];
    return log === checkpointed;
  }

  #setHeaderSync(on: boolean): void {
    this.#sql.pragma(`synchronous = ${on ? 'NORMAL' : 'OFF'}`);
    this.#headerUnsynced = !on;
  }
}

/** Whether all that was written before it ended is in the database file. */
const checkpoint = (path: string): Promise<boolean> =>
  new Promise((resolve, reject) => {
    // In development this file runs as .ts; bundled, the worker lies beside the bundle.
    const entry = import.meta.url.endsWith('.ts') ? './checkpoint-worker.ts' : './checkpoint-worker.mjs';
    const request: CheckpointRequest = { path };
    const worker = new Worker(new URL(entry, import.meta.url), { workerData: request });
    worker.on('message', (reply: CheckpointReply) =>
      'error' in reply ? reject(new Error(reply.error)) : resolve(reply.complete),
    );
    worker.on('error', reject);
    worker.on('exit', (code) => reject(new Error(`the checkpoint worker ended with ${code}`)));
  });
