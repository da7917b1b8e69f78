import { failedPrecondition, unknownError } from '../errdefs.ts';
import type { Connection } from './connection.ts';
import { type FrameReceiver, payloadOf, unexpected } from './client-call.ts';
import { decodeMessage, type MethodDefinition, requestCodec, responseCodec } from './definition.ts';
import { EMPTY, type Frame, frameFlags, frameTypes, oversized } from './frame.ts';
import { Interruption } from './interruption.ts';
import { Inbox, unread } from './stream.ts';

export interface ClientStreamParts {
  readonly connection: Connection;
  readonly method: MethodDefinition;
  readonly streamId: number;
  /** Called once, when no more frames are wanted. */
  readonly onOver: () => void;
}

/** A call that sends, receives, or does both, more than once. Iterating gives the responses; one loop only. */
export class ClientStream<Q, R> implements AsyncIterable<R>, FrameReceiver {
  readonly #parts: ClientStreamParts;
  readonly #inbox: Inbox<R>;
  readonly #interruption = new Interruption();
  #localClosed: boolean;
  #over = false;
  #failure: Error | undefined;

  constructor(parts: ClientStreamParts) {
    this.#parts = parts;
    this.#localClosed = !parts.method.requestStream;
    const codec = responseCodec(parts.method);
    this.#inbox = new Inbox(
      // The codec is the one that the definition names.
      (bytes) => decodeMessage(codec, bytes, `response of ${parts.method.name}`) as R,
      () => this.#end(),
    );
  }

  /**
   * Waits while the peer does not read, then sends. Rejects with what the stream has failed with; FailedPrecondition
   * after its end.
   */
  async send(message: Q): Promise<void> {
    const { connection, method } = this.#parts;
    while (connection.congested) await this.#interruption.guard(connection.drained());
    this.#checkSending();
    this.#send(0, requestCodec(method).encode(message).finish());
  }

  /** No more will be sent. */
  closeSend(): void {
    this.#checkSending();
    this.#localClosed = true;
    this.#send(frameFlags.remoteClosed | frameFlags.noData, EMPTY);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<R> {
    return this.#inbox;
  }

  receive(frame: Frame): void {
    try {
      if (frame.type === frameTypes.response) this.#receiveResponse(frame);
      else if (frame.type === frameTypes.data) this.#receiveData(frame);
      else throw unexpected(frame.type);
    } catch (error) {
      this.fail(error instanceof Error ? error : unknownError(String(error)));
    }
  }

  fail(error: Error): void {
    if (this.#over) return;
    this.#failure = error;
    this.#end();
  }

  /** Ends a stream of responses, or is the one response to a stream of requests. */
  #receiveResponse(frame: Frame): void {
    const payload = payloadOf(frame);
    if (!this.#parts.method.responseStream || payload.length > 0) this.#inbox.push(payload);
    this.#end();
  }

  #receiveData(frame: Frame): void {
    if (!this.#parts.method.responseStream) throw unexpected(frame.type);
    if (frame.oversizedBytes !== undefined) throw oversized(frame.oversizedBytes);
    if ((frame.flags & frameFlags.noData) === 0 && !this.#inbox.push(frame.payload)) throw unread();
    if ((frame.flags & frameFlags.remoteClosed) !== 0) this.#end();
  }

  #checkSending(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#over || this.#localClosed) throw failedPrecondition('ttrpc: stream closed');
  }

  #send(flags: number, payload: Uint8Array): void {
    const { connection, streamId } = this.#parts;
    connection.send({ streamId, type: frameTypes.data, flags, payload });
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#inbox.end(this.#failure);
    this.#interruption.fire(this.#failure ?? failedPrecondition('ttrpc: stream closed'));
    this.#parts.onOver();
  }
}
