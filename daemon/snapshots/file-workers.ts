import { unavailable } from '../../common/errdefs.ts';
import type { DiskUsage, FileJob } from './file-job.ts';
import { FileThread } from './file-thread.ts';

/** A thread with nothing to do ends after this, milliseconds: an idle one costs megabytes. */
const IDLE_MS = 2_000;

/**
 * Threads that copy, measure and delete trees: with some hundred thousand files that is seconds of work, which the main
 * thread cannot spare, and with which the thread pool should not be filled: syncs wait there.
 */
export class FileWorkers {
  readonly #countMax: number;
  readonly #busy = new Set<FileThread>();
  readonly #idle: FileThread[] = [];
  readonly #waiting: (() => void)[] = [];
  #turns = 0;
  #closed = false;

  /** `countMax`: jobs at a time. */
  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** Gives what `measure` measured. Rejects with the signal's reason when it aborts, and the job is cut then. */
  async run(job: FileJob, signal?: AbortSignal): Promise<DiskUsage | undefined> {
    if (this.#turns >= this.#countMax) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#turns += 1;
    try {
      signal?.throwIfAborted();
      if (this.#closed) throw unavailable('the daemon is stopping');
      return await this.#runNow(job, signal);
    } finally {
      // The turn goes on to the next who waits, if somebody does.
      const next = this.#waiting.shift();
      if (next === undefined) this.#turns -= 1;
      else next();
    }
  }

  /** Cuts what is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#busy, ...this.#idle].map((thread) => thread.end()));
  }

  async #runNow(job: FileJob, signal: AbortSignal | undefined): Promise<DiskUsage | undefined> {
    const thread = this.#idle.pop() ?? new FileThread();
    this.#busy.add(thread);
    try {
      return await thread.run(job, signal);
    } finally {
      this.#busy.delete(thread);
      if (thread.alive) this.#rest(thread);
    }
  }

  #rest(thread: FileThread): void {
    this.#idle.push(thread);
    setTimeout(() => {
      // The one that rests longest; whoever is taken is the one that worked last.
      if (this.#idle.length > 0) void this.#idle.shift()?.end();
    }, IDLE_MS).unref();
  }
}

/** Deleting has threads of its own: nobody who measures or copies waits for it. */
export interface FileThreads {
  readonly workers: FileWorkers;
  readonly deleting: FileWorkers;
}
