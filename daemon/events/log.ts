import { failedPrecondition } from '../../common/errdefs.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import type { Database } from '../store/database.ts';

/**
 * An event's place in the order of one of our shims. Its events arrive in order, so a sequence that is not above the
 * last one is a repeat. The id is of one life of the outbox: a new shim of the same container must have another.
 */
export interface ShimSequence {
  readonly id: string;
  readonly sequence: bigint;
}

export interface NewEvent {
  readonly namespace: string;
  readonly topic: string;
  /** When it happened, nanoseconds since 1970. */
  readonly timestampNanos: bigint;
  readonly payload: Any;
  readonly shim?: ShimSequence;
  /** The shim could not write it down before it sent it; see common/bootstrap.ts. */
  readonly unrecorded?: boolean;
}

/** An event as it is in the log, without its payload: most are looked at by topic and passed over. */
export interface LoggedEvent {
  readonly sequence: bigint;
  readonly namespace: string;
  readonly topic: string;
  readonly timestampNanos: bigint;
}

export interface TrimLimits {
  readonly beforeNanos: bigint;
  readonly countMax: number;
  readonly batch: number;
}

/**
 * The durable event log. Used like this:
 * `db.transaction(() => { change rows; events.append(…) }); await events.publish();` and then the reply.
 */
export interface EventLog {
  /** Inside a transaction. Gives the event's sequence, or undefined if that (shim, sequence) was seen before. */
  append(event: NewEvent): bigint | undefined;
  /** Whether this shim's event was dealt with before. */
  seen(shim: ShimSequence): boolean;
  /** Inside a transaction: this shim's event is dealt with, and is not to be published. */
  passOver(shim: ShimSequence): void;
  /** Inside a transaction, when a shim is gone for good: its place in the order need not be remembered. */
  forgetShim(id: string): void;
  /** Waits until all that was committed is on the disk, then wakes the subscribers. */
  publish(): Promise<void>;
  /** Sequence of the newest event that subscribers may see; 0n: none yet. Sequences have no gaps. */
  readonly published: bigint;
  /** Sequence of the oldest event that is still there; if there is none, of the next one. */
  oldest(): bigint;
  /** Sequence of the first event that happened at that time or later; undefined: none did. */
  since(nanos: bigint): bigint | undefined;
  /** Up to `limit` events above `after`, in order, none above `published`. */
  read(after: bigint, limit: number): LoggedEvent[];
  /** The payload of one event; undefined if it has been trimmed. */
  payload(sequence: bigint): Any | undefined;
  /** Resolves once `published` is above `sequence`; rejects with the signal's reason. */
  wait(sequence: bigint, signal: AbortSignal): Promise<void>;
  /** Removes the events that are too old or too many, at most `batch` of them. Gives whether some are left to remove. */
  trim(limits: TrimLimits): boolean;
}

export const openEventLog = (db: Database): EventLog => new SqlEventLog(db);

class SqlEventLog implements EventLog {
  readonly #db: Database;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #waiting = new Set<() => void>();
  #published: bigint;

  constructor(db: Database) {
    this.#db = db;
    this.#statements = prepare(db);
    this.#published = this.#tail();
  }

  get published(): bigint {
    return this.#published;
  }

  append(event: NewEvent): bigint | undefined {
    if (!this.#db.sql.inTransaction) throw failedPrecondition('an event is appended outside a transaction');
    if (event.shim !== undefined && !this.#advance(event.shim)) return undefined;
    const { namespace, topic, timestampNanos, payload } = event;
    const { typeUrl, value } = payload;
    return BigInt(this.#statements.insert.run(namespace, topic, timestampNanos, typeUrl, value).lastInsertRowid);
  }

  seen(shim: ShimSequence): boolean {
    const last = this.#statements.shimSequence.get(shim.id);
    return last !== undefined && shim.sequence <= last;
  }

  passOver(shim: ShimSequence): void {
    this.#advance(shim);
  }

  forgetShim(id: string): void {
    this.#statements.forgetShim.run(id);
  }

  async publish(): Promise<void> {
    const tail = this.#tail();
    await this.#db.durable();
    if (tail <= this.#published) return;
    this.#published = tail;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  oldest(): bigint {
    return this.#statements.oldest.get() ?? this.#tail() + 1n;
  }

  since(nanos: bigint): bigint | undefined {
    return this.#statements.since.get(nanos);
  }

  read(after: bigint, limit: number): LoggedEvent[] {
    return this.#statements.read.all(after, this.#published, limit);
  }

  payload(sequence: bigint): Any | undefined {
    return this.#statements.payload.get(sequence);
  }

  async wait(sequence: bigint, signal: AbortSignal): Promise<void> {
    while (this.#published <= sequence && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = (): void => resolve();
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
      await promise;
      signal.removeEventListener('abort', wake);
      this.#waiting.delete(wake);
    }
    signal.throwIfAborted();
  }

  trim({ beforeNanos, countMax, batch }: TrimLimits): boolean {
    const first = this.oldest();
    const tail = this.#tail();
    const tooOld = (this.since(beforeNanos) ?? tail + 1n) - 1n;
    const tooMany = tail - BigInt(countMax);
    const end = tooOld > tooMany ? tooOld : tooMany;
    const inReach = first + BigInt(batch) - 1n;
    const last = inReach < end ? inReach : end;
    if (last >= first) this.#db.transaction(() => this.#statements.remove.run(last));
    return last < end;
  }

  #tail(): bigint {
    return this.#statements.tail.get() ?? 0n;
  }

  #advance({ id, sequence }: ShimSequence): boolean {
    return this.#statements.advance.run(id, sequence).changes > 0;
  }
}

const prepare = ({ sql }: Database) => ({
  insert: sql.prepare<[string, string, bigint, string, Uint8Array]>(
    'INSERT INTO events (namespace, topic, timestamp, type_url, value) VALUES (?, ?, ?, ?, ?)',
  ),
  advance: sql.prepare<[string, bigint]>(
    `INSERT INTO shim_sequences (shim, sequence) VALUES (?, ?)
     ON CONFLICT (shim) DO UPDATE SET sequence = excluded.sequence WHERE excluded.sequence > sequence`,
  ),
  shimSequence: sql.prepare<[string], bigint>('SELECT sequence FROM shim_sequences WHERE shim = ?').pluck(),
  forgetShim: sql.prepare<[string]>('DELETE FROM shim_sequences WHERE shim = ?'),
  tail: sql.prepare<[], bigint>("SELECT seq FROM sqlite_sequence WHERE name = 'events'").pluck(),
  oldest: sql.prepare<[], bigint>('SELECT sequence FROM events ORDER BY sequence LIMIT 1').pluck(),
  // By time, though rows are in the order of their writing: that is nearly the same.
  since: sql
    .prepare<[bigint], bigint>('SELECT sequence FROM events WHERE timestamp >= ? ORDER BY sequence LIMIT 1')
    .pluck(),
  read: sql.prepare<[bigint, bigint, number], LoggedEvent>(
    `SELECT sequence, namespace, topic, timestamp AS timestampNanos
     FROM events WHERE sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?`,
  ),
  payload: sql.prepare<[bigint], Any>('SELECT type_url AS typeUrl, value FROM events WHERE sequence = ?'),
  remove: sql.prepare<[bigint]>('DELETE FROM events WHERE sequence <= ?'),
});
