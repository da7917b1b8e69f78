import { type CodedError, resourceExhausted } from '../errdefs.ts';
import { Fifo } from './fifo.ts';
import { FRAME_BYTES_MAX } from './frame.ts';

/**
 * What one stream may hold that nobody has read yet, bytes. Past it that stream fails, and no other. Small messages may
 * be many: one chunk of a socket holds thousands, all of which come before a reader has its turn.
 */
export const STREAM_UNREAD_BYTES_MAX = 2 * FRAME_BYTES_MAX;
/** What a message that waits takes besides its own bytes, about. */
export const MESSAGE_OVERHEAD_BYTES = 128;

/** What a stream fails with whose messages nobody reads. */
export const unread = (): CodedError =>
  resourceExhausted('ttrpc: messages of this stream come faster than they are read');

/**
 * The messages that have come in on one stream and wait for their reader. ttrpc has no window, so the sender cannot be
 * held back stream by stream: a reader that is too slow loses its stream, the others of the connection nothing.
 */
export class Inbox<T> implements AsyncIterableIterator<T> {
  readonly #decode: (payload: Uint8Array) => T;
  readonly #onReturn: () => void;
  readonly #waiting = new Fifo<Uint8Array>();
  #bytes = 0;
  #ended = false;
  #failure: Error | undefined;
  #reader: PromiseWithResolvers<IteratorResult<T>> | undefined;

  /** `onReturn` is called when the reader has had enough, which is when it leaves its loop. */
  constructor(decode: (payload: Uint8Array) => T, onReturn: () => void = () => undefined) {
    this.#decode = decode;
    this.#onReturn = onReturn;
  }

  /** Takes a message; false: there is no room, and what waited is thrown away. */
  push(payload: Uint8Array): boolean {
    if (this.#ended) return true;
    const reader = this.#reader;
    if (reader !== undefined) {
      this.#reader = undefined;
      try {
        reader.resolve({ value: this.#decode(payload), done: false });
      } catch (error) {
        reader.reject(error);
      }
      return true;
    }
    const bytes = this.#bytes + payload.length + MESSAGE_OVERHEAD_BYTES;
    if (bytes > STREAM_UNREAD_BYTES_MAX) {
      this.#waiting.clear();
      this.end(unread());
      return false;
    }
    this.#waiting.push(unpinned(payload));
    this.#bytes = bytes;
    return true;
  }

  /** No more will come: the reader gets what is there, then `failure` or the end. */
  end(failure?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    const reader = this.#reader;
    this.#reader = undefined;
    if (failure === undefined) reader?.resolve({ value: undefined, done: true });
    else reader?.reject(failure);
  }

  async next(): Promise<IteratorResult<T>> {
    const payload = this.#waiting.shift();
    if (payload !== undefined) {
      this.#bytes -= payload.length + MESSAGE_OVERHEAD_BYTES;
      return { value: this.#decode(payload), done: false };
    }
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#ended) return { value: undefined, done: true };
    if (this.#reader !== undefined) throw new TypeError('a stream has one reader');
    this.#reader = Promise.withResolvers<IteratorResult<T>>();
    return this.#reader.promise;
  }

  async return(): Promise<IteratorResult<T>> {
    this.#waiting.clear();
    this.end();
    this.#onReturn();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/** A message that waits must not keep alive a chunk of the socket that is mostly other messages. */
const unpinned = (payload: Uint8Array): Uint8Array =>
  payload.length * 2 < payload.buffer.byteLength ? Buffer.from(payload) : payload;
