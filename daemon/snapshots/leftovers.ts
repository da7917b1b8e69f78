import type { Logger } from 'pino';
import { messageOf } from '../../common/errdefs.ts';
import type { Database } from '../store/database.ts';
import type { Backend } from './backend.ts';
import type { Leftover, SnapshotStore } from './store.ts';

export interface LeftoverParts {
  readonly db: Database;
  readonly store: SnapshotStore;
  readonly backend: Backend;
  readonly log: Logger;
}

/** What is on the disk, or in another process, and is no snapshot: deleted as soon as nobody makes anything of it. */
export class Leftovers {
  readonly #parts: LeftoverParts;
  /** Ids that a call is making something of, or that are being deleted. */
  readonly #underWay = new Set<bigint>();
  readonly #discards = new Set<Promise<void>>();
  #closed = false;

  constructor(parts: LeftoverParts) {
    this.#parts = parts;
  }

  /**
   * Makes something of a reserved id. If that fails it is deleted, in the background; if we are not there any more then,
   * the leftover's row is.
   */
  async during<T>(leftover: Leftover, make: () => Promise<T>): Promise<T> {
    this.#underWay.add(leftover.id);
    try {
      const made = await make();
      this.#underWay.delete(leftover.id);
      return made;
    } catch (error) {
      void this.discard(leftover);
      throw error;
    }
  }

  /** Never rejects: what cannot be deleted now is tried again by the next sweep. */
  discard(leftover: Leftover): Promise<void> {
    this.#underWay.add(leftover.id);
    const discarded = this.#discard(leftover).finally(() => this.#discards.delete(discarded));
    this.#discards.add(discarded);
    return discarded;
  }

  /** Deletes what earlier calls, or an earlier daemon, left; tells of snapshots whose directory somebody took away. */
  async sweep(): Promise<void> {
    const { store, backend, log } = this.#parts;
    const before = store.ids();
    await Promise.all(this.#discards);
    // The newest first: another process will not let go of one that others are built on.
    const left = store.leftovers().filter(({ id }) => !this.#underWay.has(id));
    await Promise.all(left.reverse().map((leftover) => this.discard(leftover)));
    const there = new Set(this.#closed ? [] : await backend.directories?.list());
    if (this.#closed || backend.directories === undefined) return;
    // Read after the directories: what is made meanwhile has a row before it has a directory.
    const after = store.ids();
    for (const id of there) {
      if ([before, after].some(({ snapshots, leftovers }) => snapshots.has(id) || leftovers.has(id))) continue;
      log.warn({ id: String(id) }, 'a directory that belongs to no snapshot is deleted');
      await this.discard({ id, namespace: '', backendKey: '' });
    }
    for (const id of before.snapshots) {
      if (there.has(id) || !after.snapshots.has(id)) continue;
      log.error(
        { id: String(id), ...store.nameOf(id) },
        'a snapshot has lost its directory: remove it and what is built on it, then unpack its image again',
      );
    }
  }

  /** Waits for what is being deleted; the backend has been closed, so that is soon over. */
  async close(): Promise<void> {
    await Promise.all(this.#discards);
  }

  /** Before the backend is closed: what fails from now on is for the next daemon to delete. */
  stop(): void {
    this.#closed = true;
  }

  async #discard(leftover: Leftover): Promise<void> {
    const { db, store, backend, log } = this.#parts;
    try {
      await backend.discard(leftover);
      if (!this.#closed) db.transaction(() => store.forget(leftover.id));
    } catch (error) {
      if (!this.#closed)
        log.warn({ id: String(leftover.id), err: messageOf(error) }, 'a snapshot could not be deleted');
    } finally {
      this.#underWay.delete(leftover.id);
    }
  }
}
