import type { Socket } from 'node:net';
import { resourceExhausted, unavailable } from '../errdefs.ts';
import { encodeFrame, FRAME_BYTES_MAX, type Frame, FrameDecoder } from './frame.ts';

/**
 * Bytes that may wait for a peer that does not read, before the connection is given up: room for a few frames of the
 * largest size. Who sends streams waits for the socket long before.
 */
export const UNREAD_BYTES_MAX = 4 * FRAME_BYTES_MAX;

/** One socket with frames on it; both ends use it. */
export class Connection {
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();
  readonly closed: Promise<void>;
  #open = true;

  /** `onFrame` is called for each frame in order; what it throws ends the connection. */
  constructor(socket: Socket, onFrame: (frame: Frame) => void) {
    this.#socket = socket;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const frame of this.#decoder.push(chunk)) {
          if (!this.#open) return;
          onFrame(frame);
        }
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    });
    // The reason of a broken connection is of no use to a call: that it is closed is.
    socket.on('error', () => undefined);
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      this.#open = false;
      resolve();
    });
    if (socket.destroyed) {
      this.#open = false;
      resolve();
    }
  }

  get open(): boolean {
    return this.#open && !this.#socket.destroyed;
  }

  /** Queues a frame. Throws ResourceExhausted for one over the limit, and Unavailable once the connection is closed. */
  send(frame: Frame): void {
    if (frame.payload.length > FRAME_BYTES_MAX) {
      throw resourceExhausted(
        `message length ${frame.payload.length} exceed maximum message size of ${FRAME_BYTES_MAX}`,
      );
    }
    if (!this.open) throw unavailable('ttrpc: closed');
    this.#socket.write(encodeFrame(frame));
    if (this.#socket.writableLength > UNREAD_BYTES_MAX + FRAME_BYTES_MAX) {
      this.#socket.destroy(new Error('the peer does not read'));
    }
  }

  /** Resolves when the peer has taken enough for the next message of a stream; at once if nothing waits. */
  async writable(): Promise<void> {
    if (!this.#socket.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#socket.off('drain', done);
        this.#socket.off('close', done);
        resolve();
      };
      this.#socket.on('drain', done);
      this.#socket.on('close', done);
    });
  }

  /** Sends what is queued, then closes. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#open = false;
    this.#socket.destroy();
  }
}
