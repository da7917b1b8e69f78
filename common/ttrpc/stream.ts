import { resourceExhausted } from '../errdefs.ts';
import { FRAME_BYTES_MAX } from './frame.ts';

/** What one stream may hold that nobody has read yet, bytes and messages. Past it that stream fails, and no other. */
export const STREAM_UNREAD_BYTES_MAX = 2 * FRAME_BYTES_MAX;
export const STREAM_UNREAD_MESSAGES_MAX = 4096;

/**
 * The messages that have come in on one stream and wait for their reader. ttrpc has no window, so the sender cannot be
 * held back stream by stream: a reader that is too slow loses its stream, the others of the connection nothing.
 */
export class Inbox<T> implements AsyncIterableIterator<T> {
  readonly #decode: (payload: Uint8Array) => T;
  readonly #waiting: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #failure: Error | undefined;
  #reader: PromiseWithResolvers<IteratorResult<T>> | undefined;
  readonly #onReturn: () => void;

  constructor(decode: (payload: Uint8Array) => T, onReturn: () => void) {
    this.#decode = decode;
    this.#onReturn = onReturn;
  }

  /** Takes a message; false: the stream has failed by it. */
  push(payload: Uint8Array): boolean {
    if (this.#ended) return true;
    if (this.#reader !== undefined) {
      const reader = this.#reader;
      this.#reader = undefined;
      try {
        reader.resolve({ value: this.#decode(payload), done: false });
      } catch (error) {
        reader.reject(error);
      }
      return true;
    }
    if (this.#bytes + payload.length > STREAM_UNREAD_BYTES_MAX || this.#waiting.length >= STREAM_UNREAD_MESSAGES_MAX) {
      this.#waiting.length = 0;
      this.end(resourceExhausted('ttrpc: messages of this stream come faster than they are read'));
      return false;
    }
    // A copy: a small payload would keep the whole chunk alive that it lies in.
    this.#waiting.push(Buffer.from(payload));
    this.#bytes += payload.length;
    return true;
  }

  /** No more will come: the reader gets what is there, then `failure` or the end. */
  end(failure?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    const reader = this.#reader;
    this.#reader = undefined;
    if (reader === undefined) return;
    if (failure === undefined) reader.resolve({ value: undefined, done: true });
    else reader.reject(failure);
  }

  async next(): Promise<IteratorResult<T>> {
    const payload = this.#waiting.shift();
    if (payload !== undefined) {
      this.#bytes -= payload.length;
      return { value: this.#decode(payload), done: false };
    }
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#ended) return { value: undefined, done: true };
    this.#reader ??= Promise.withResolvers<IteratorResult<T>>();
    return this.#reader.promise;
  }

  async return(): Promise<IteratorResult<T>> {
    this.#waiting.length = 0;
    this.end();
    this.#onReturn();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
