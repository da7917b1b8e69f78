import { closeSync, fstatSync, openSync, read, watch, type FSWatcher } from 'node:fs';
import { promisify } from 'node:util';
import type { Writable } from 'node:stream';
import { type Output, QUIET_MS } from './pump.ts';

const CHUNK_BYTES = 64 << 10;
const readAt = promisify(read);

export interface FollowedOptions {
  /**
   * A process with a terminal does not write to the file itself: its shim copies, and may still do so when we hear of
   * the end. As with a FIFO that does not end, quiet counts as the end then.
   */
  readonly copied: boolean;
}

/** What is appended to a file from now on, on its way to a local stream. `done` when the process has ended. */
export class FollowedFile implements Output {
  readonly done: Promise<void>;
  readonly #fd: number;
  readonly #to: Writable;
  readonly #path: string;
  readonly #settle: PromiseWithResolvers<void>;
  readonly #quietMs: number;
  #quiet: NodeJS.Timeout | undefined;
  #watcher: FSWatcher | undefined;
  #position: number;
  #hasMore = false;
  #isReading = false;
  #ended = false;
  #stopped = false;

  constructor(path: string, to: Writable, { copied }: FollowedOptions) {
    this.#path = path;
    this.#quietMs = copied ? QUIET_MS : 0;
    this.#to = to;
    this.#fd = openSync(path, 'r');
    this.#position = fstatSync(this.#fd).size;
    this.#settle = Promise.withResolvers<void>();
    this.done = this.#settle.promise.finally(() => {
      clearTimeout(this.#quiet);
      this.#watcher?.close();
      closeSync(this.#fd);
    });
    this.done.catch(() => undefined); // whoever waits for it sees it too
  }

  begin(): void {
    this.#watcher = watch(this.#path, () => void this.#read());
    void this.#read();
  }

  ended(): void {
    this.#quiet = setTimeout(() => {
      this.#ended = true;
      void this.#read();
    }, this.#quietMs);
  }

  stop(): void {
    this.#stopped = true;
    if (!this.#isReading) this.#settle.resolve();
  }

  /** One at a time; what changes meanwhile is looked at afterwards. */
  async #read(): Promise<void> {
    this.#hasMore = true;
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      while (this.#hasMore && !this.#stopped) {
        this.#hasMore = false;
        const isLast = this.#ended; // before the copy: by then all that it has written is there
        await this.#copy();
        if (isLast) this.#stopped = true;
      }
      if (this.#stopped) this.#settle.resolve();
    } catch (error) {
      this.#settle.reject(error);
    } finally {
      this.#isReading = false;
    }
  }

  /** Up to what is its end now. */
  async #copy(): Promise<void> {
    if (fstatSync(this.#fd).size < this.#position) this.#position = 0; // somebody emptied it
    while (!this.#stopped) {
      const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
      const { bytesRead } = await readAt(this.#fd, buffer, 0, CHUNK_BYTES, this.#position);
      if (bytesRead === 0) return;
      this.#position += bytesRead;
      if (!this.#ended) this.#quiet?.refresh();
      await written(this.#to, buffer.subarray(0, bytesRead));
    }
  }
}

const written = (to: Writable, chunk: Buffer): Promise<void> => {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  to.write(chunk, (error) => (error instanceof Error ? reject(error) : resolve()));
  return promise;
};
