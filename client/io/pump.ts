import type { Readable, Writable } from 'node:stream';

/** One stream of a process on its way to a local one. */
export interface Output {
  /** Resolves when all was written; rejects with the error of the local stream. */
  readonly done: Promise<void>;
  /** Nothing is read before. */
  begin(): void;
  /** The process has ended. */
  ended(): void;
  /** Reads nothing more. */
  stop(): void;
}

/** How long an ended process's output may be silent before it is taken for complete, milliseconds. */
export const QUIET_MS = 1_000;

/**
 * Copies one stream of a process to a local one, at the pace of the slower; the local one is left open.
 * `done` resolves when the stream has ended and all of it was written; it rejects with the error of the local one,
 * EPIPE when its reader has gone.
 *
 * A process that left children behind leaves them its output too, so the end may never come: from `ended()` on, one
 * second in which nothing came while we were listening counts as the end.
 */
export class Pump implements Output {
  readonly done: Promise<void>;
  readonly #from: Readable;
  readonly #to: Writable;
  #quiet: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(from: Readable, to: Writable) {
    this.#from = from;
    this.#to = to;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const fail = (error: Error): void => {
      reject(error);
      from.destroy();
    };
    to.once('error', fail);
    from.on('error', () => undefined); // 'close' follows
    from.once('close', () => {
      clearTimeout(this.#quiet);
      to.write('', () => resolve());
    });
    this.done = promise.finally(() => to.off('error', fail));
    this.done.catch(() => undefined); // whoever waits for it sees it too
  }

  begin(): void {
    const [from, to] = [this.#from, this.#to];
    from.on('data', (chunk: Buffer) => {
      if (to.write(chunk)) return this.#listen();
      clearTimeout(this.#quiet); // it is our own reader who is slow
      from.pause();
      to.once('drain', () => {
        from.resume();
        this.#listen();
      });
    });
  }

  ended(): void {
    this.#ended = true;
    if (!this.#from.isPaused()) this.#listen();
  }

  stop(): void {
    this.#from.destroy();
  }

  #listen(): void {
    clearTimeout(this.#quiet);
    if (this.#ended && !this.#from.destroyed) this.#quiet = setTimeout(() => this.stop(), QUIET_MS);
  }
}
