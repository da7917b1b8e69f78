import type { Socket } from 'node:net';
import { type CodedError, resourceExhausted, unavailable } from '../errdefs.ts';
import { encodeFrame, FRAME_BYTES_MAX, type Frame, FrameDecoder, oversized } from './frame.ts';

/** Bytes that wait for a peer, past which streams and answers wait too, and a server reads no more requests of its. */
export const UNREAD_BYTES_PAUSE = FRAME_BYTES_MAX;
/** Bytes that may wait for a peer that does not read. A frame that would go beyond is refused with ResourceExhausted. */
export const UNREAD_BYTES_MAX = 16 * FRAME_BYTES_MAX;

export interface ConnectionOptions {
  /** Called for each frame, in order. What it throws ends the connection. */
  readonly onFrame: (frame: Frame) => void;
  /**
   * Read nothing while the peer has UNREAD_BYTES_PAUSE to read. For a server only: were both ends to do this, each
   * could wait for the other.
   */
  readonly pauses?: boolean;
}

/** One socket with frames on it; both ends use it. */
export class Connection {
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();
  readonly #options: ConnectionOptions;
  /** Resolves when the connection is gone, whoever closed it. */
  readonly closed: Promise<void>;
  #open = true;
  #failure: Error | undefined;
  #drained: PromiseWithResolvers<void> | undefined;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    const onClose = (): void => {
      this.#open = false;
      this.#wake();
      resolve();
    };
    if (socket.destroyed) {
      onClose();
      return;
    }
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('drain', () => {
      this.#wake();
      if (this.#options.pauses === true) socket.resume();
    });
    socket.on('error', (error) => (this.#failure ??= error));
    // Nobody halves a ttrpc connection: who ends it listens for no answer.
    socket.on('end', () => this.destroy(this.#decoder.idle ? undefined : new Error('the peer ended within a frame')));
    socket.on('close', onClose);
    socket.resume();
  }

  get open(): boolean {
    return this.#open && this.#socket.writable;
  }

  /**
   * Queues a frame. ResourceExhausted: it is over the limit, or the peer does not read; the connection stays. Unavailable:
   * the connection is closed.
   */
  send(frame: Frame): void {
    if (frame.payload.length > FRAME_BYTES_MAX) throw oversized(frame.payload.length);
    if (!this.open) throw this.closedError();
    const waiting = this.#socket.writableLength;
    if (waiting + frame.payload.length > UNREAD_BYTES_MAX) {
      throw resourceExhausted(`ttrpc: the peer has ${waiting} bytes to read`);
    }
    this.#socket.write(encodeFrame(frame));
    if (this.#options.pauses === true && this.congested) this.#socket.pause();
  }

  /**
   * Whether what is sent must wait for `drained`. To be asked again after each wait, in the same turn as the `send`: all
   * who wait are woken at once, and the first may fill the connection again.
   */
  get congested(): boolean {
    return this.open && this.#socket.writableLength > UNREAD_BYTES_PAUSE;
  }

  /** Resolves when the peer has taken what waited for it, or is gone. Only to be called while `congested`. */
  drained(): Promise<void> {
    this.#drained ??= Promise.withResolvers<void>();
    return this.#drained.promise;
  }

  /** What a call gets that the connection can carry no more; the cause says what broke it. */
  closedError(): CodedError {
    return unavailable('ttrpc: closed', { cause: this.#failure });
  }

  /**
   * Sends what is queued, then an end, and waits for the peer to hang up: were we to do it first, a peer that is just
   * sending would get an error and perhaps never read its last answers. After `ms` we hang up all the same.
   */
  async end(ms: number): Promise<void> {
    this.#open = false;
    const timer = setTimeout(() => this.#socket.destroy(), ms);
    this.#socket.resume();
    this.#socket.end();
    await this.closed;
    clearTimeout(timer);
  }

  destroy(reason?: Error): void {
    this.#open = false;
    this.#failure ??= reason;
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    try {
      for (const frame of this.#decoder.push(chunk)) {
        if (!this.#open) return;
        this.#options.onFrame(frame);
      }
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #wake(): void {
    this.#drained?.resolve();
    this.#drained = undefined;
  }
}
