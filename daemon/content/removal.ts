import type { Logger } from 'pino';
import type { KeyedQueue } from '../../common/keyed-queue.ts';
import type { Database } from '../store/database.ts';
import { type ContentFiles, ingestName } from './files.ts';
import type { IngestStore } from './ingest-store.ts';
import type { ContentStore } from './store.ts';

export interface RemovalParts {
  readonly db: Database;
  readonly log: Logger;
  readonly content: ContentStore;
  readonly ingests: IngestStore;
  readonly files: ContentFiles;
  /** By digest: a blob's file is put in place or removed, never both at once. */
  readonly turns: KeyedQueue;
}

/** Takes off the disk what no row names any more. Rows go first, files follow; a crash in between leaves a file. */
export class Removal {
  readonly #parts: RemovalParts;
  readonly #going = new Set<string>();
  readonly #background = new Set<Promise<void>>();

  constructor(parts: RemovalParts) {
    this.#parts = parts;
  }

  /** Whether the blob's file is about to go: nobody may be given it for naming its digest. */
  isGoing(digest: string): boolean {
    return this.#going.has(digest);
  }

  /** Removes the blob's file unless a namespace, or an ingest, refers to it. Gives whether it went. */
  blob(digest: string): Promise<boolean> {
    const { content, turns, db, files } = this.#parts;
    return turns.run(digest, async () => {
      if (content.isReferenced(digest)) return false;
      this.#going.add(digest);
      try {
        await db.durable(); // or a power cut could bring back the row, and not the file
        await files.removeBlob(digest);
      } finally {
        this.#going.delete(digest);
      }
      return true;
    });
  }

  /** As `blob`, while others go on. */
  blobSoon(digest: string): void {
    const { log } = this.#parts;
    const work = this.blob(digest)
      .then(
        (gone) => log.debug({ digest, gone }, 'unreferenced content looked for'),
        (error: unknown) => log.warn({ err: error, digest }, 'unreferenced content could not be removed'),
      )
      .finally(() => this.#background.delete(work));
    this.#background.add(work);
  }

  /** Every blob and every ingest's directory that no row names. Gives how many blobs went. */
  async all(): Promise<number> {
    const { files, ingests } = this.#parts;
    // Directories first, rows then: a directory is made after its row, so one without a row has lost it.
    const directories = await files.ingestDirectories();
    const known = new Set(ingests.all().map(ingestName));
    for (const name of directories) if (!known.has(name)) await files.removeIngestDirectory(name);
    let count = 0;
    for (const digest of await files.blobs()) if (await this.blob(digest)) count += 1;
    return count;
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    while (this.#background.size > 0) await Promise.all(this.#background);
  }
}
