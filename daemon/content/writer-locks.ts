import { unavailable } from '../../common/errdefs.ts';
import { formatNanos } from '../../common/timestamp.ts';
import { nowNanos } from '../../native/index.ts';
import { ingestKey } from './files.ts';
import type { Ingest } from './ingest-store.ts';

interface Held {
  readonly since: bigint;
  /** Resolves when a writer that is closing has let go. */
  closing: Promise<void> | undefined;
}

/** One writer an ingest. Clients ask again when they are told that there is one, so nobody queues. */
export class WriterLocks {
  readonly #held = new Map<bigint, Held>();

  /** Throws Unavailable while somebody writes. */
  take(ingest: Ingest): void {
    const held = this.#held.get(ingest.id);
    const now = nowNanos();
    if (held !== undefined) {
      const seconds = Number(now - held.since) / 1e9;
      throw unavailable(`ref ${ingestKey(ingest)} locked for ${seconds}s (since ${formatNanos(held.since)})`);
    }
    this.#held.set(ingest.id, { since: now, closing: undefined });
  }

  /** Lets go once `close` has ended. */
  async release(ingest: Ingest, close: () => Promise<void>): Promise<void> {
    const closing = close().finally(() => this.#held.delete(ingest.id));
    const held = this.#held.get(ingest.id);
    if (held !== undefined) {
      held.closing = closing.catch(() => undefined); // its own caller is told
    }
    await closing;
  }

  /** Waits for a writer whose client has gone, and who only has to let go: that takes a moment. */
  async settled(ingest: Ingest | undefined): Promise<void> {
    if (ingest !== undefined) await this.#held.get(ingest.id)?.closing;
  }
}
