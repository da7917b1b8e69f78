import type { Request } from '../../proto/gen/ttrpc/ttrpc.ts';
import { type CodedError, deadlineExceeded, invalidArgument } from '../errdefs.ts';
import type { Connection } from './connection.ts';
import { decodeRequestMessage, responseCodec } from './definition.ts';
import { encodeResponse } from './envelope.ts';
import { EMPTY, type Frame, frameFlags, frameTypes, oversized } from './frame.ts';
import type { CallContext, OnError, Peer, ServedMethod } from './handler.ts';
import { Interruption } from './interruption.ts';
import { decodeMetadata } from './metadata.ts';
import { encodeStatus } from './status.ts';
import { Inbox, unread } from './stream.ts';
import { decodeTimeout, startTimer } from './timeout.ts';

export interface ServerCallParts {
  readonly connection: Connection;
  readonly peer: Peer | undefined;
  readonly onError: OnError | undefined;
}

/**
 * One call in a server, from its request to its answer. It is answered once: by its handler, or by what makes it fail
 * before that; then the handler is told to stop and its result is of no interest.
 */
export class ServerCall {
  readonly #streamId: number;
  readonly #served: ServedMethod;
  readonly #parts: ServerCallParts;
  readonly #context: CallContext;
  readonly #controller = new AbortController();
  /** What the handler is given: a message, or the inbox. */
  readonly #input: unknown;
  readonly #inbox: Inbox<unknown> | undefined;
  /** Of a stream of responses. */
  #interruption: Interruption | undefined;
  #remoteClosed = false;
  #answered = false;

  /** Throws what the caller is to be told of a request that makes no call. */
  constructor({ streamId, flags }: Frame, request: Request, served: ServedMethod, parts: ServerCallParts) {
    this.#streamId = streamId;
    this.#served = served;
    this.#parts = parts;
    this.#context = {
      service: request.service,
      method: request.method,
      metadata: decodeMetadata(request.metadata),
      signal: this.#controller.signal,
      deadlineMs: decodeTimeout(request.timeoutNano),
      peer: parts.peer,
    };
    if (this.#context.deadlineMs === 0) throw deadlineExceeded(request.method);
    const decode = (bytes: Uint8Array): unknown => decodeRequestMessage(served.method, bytes);
    if (!served.method.requestStream) {
      this.#input = decode(request.payload);
      return;
    }
    this.#input = this.#inbox = new Inbox(decode);
    if (request.payload.length > 0) this.#inbox.push(request.payload);
    if ((flags & frameFlags.remoteOpen) === 0) this.#closeInput();
  }

  /** Runs the handler; resolves when it has ended. */
  async run(): Promise<void> {
    const { method, run } = this.#served;
    const late = (): void => this.fail(deadlineExceeded(this.#context.method));
    const timer = startTimer(this.#context.deadlineMs, late);
    try {
      const result = run(this.#input, this.#context);
      // Which of the two it is says the definition.
      if (method.responseStream) await this.#stream(result as AsyncIterable<unknown>);
      else await this.#respond(await (result as Promise<unknown>));
    } catch (error) {
      this.#answerError(error);
    } finally {
      clearTimeout(timer);
      this.#inbox?.end();
    }
  }

  /** A data frame of this call. */
  receive({ flags, payload, oversizedBytes }: Frame): void {
    if (this.#answered) return;
    if (oversizedBytes !== undefined) return this.fail(oversized(oversizedBytes));
    if ((flags & frameFlags.noData) === 0) {
      if (this.#inbox === undefined) return this.fail(invalidArgument('data for a method that takes one message'));
      if (this.#remoteClosed) return this.fail(invalidArgument('data after the end of the stream'));
      if (!this.#inbox.push(payload)) return this.fail(unread());
    }
    if ((flags & frameFlags.remoteClosed) !== 0) this.#closeInput();
  }

  /** Answers with an error now, whatever the handler does, and has the handler stop. */
  fail(error: CodedError): void {
    if (this.#answered) return;
    this.#answerError(error);
    this.#inbox?.end(error);
    this.#interruption?.fire(error);
    this.#controller.abort(error);
  }

  #closeInput(): void {
    this.#remoteClosed = true;
    this.#inbox?.end();
  }

  async #stream(responses: AsyncIterable<unknown>): Promise<void> {
    const { connection } = this.#parts;
    const codec = responseCodec(this.#served.method);
    const iterator = responses[Symbol.asyncIterator]();
    const interruption = (this.#interruption = new Interruption());
    try {
      for (;;) {
        const { done, value } = await interruption.guard(iterator.next());
        if (done === true) break;
        while (connection.congested) await interruption.guard(connection.drained());
        if (this.#answered) return;
        this.#sendData(0, codec.encode(value).finish());
      }
      if (this.#answered) return;
      this.#sendData(frameFlags.remoteClosed | frameFlags.noData, EMPTY);
      this.#answered = true;
    } finally {
      // A generator that still waits for something returns when that is over; nobody waits for it here.
      void Promise.resolve(iterator.return?.()).catch(() => undefined);
    }
  }

  #sendData(flags: number, payload: Uint8Array): void {
    this.#parts.connection.send({ streamId: this.#streamId, type: frameTypes.data, flags, payload });
  }

  async #respond(response: unknown): Promise<void> {
    const { connection } = this.#parts;
    while (connection.congested) await connection.drained();
    if (this.#answered) return;
    const payload = responseCodec(this.#served.method).encode(response).finish();
    sendResponse(connection, this.#streamId, encodeResponse(undefined, payload));
    this.#answered = true;
  }

  #answerError(error: unknown): void {
    if (this.#answered) return;
    this.#answered = true;
    sendError(this.#parts.connection, this.#streamId, error);
    this.#parts.onError?.(error, this.#context);
  }
}

/** Answers a stream with an error. A peer that has left so much unread that even this has no room is given up. */
export const sendError = (connection: Connection, streamId: number, error: unknown): void => {
  if (!connection.open) return;
  try {
    sendResponse(connection, streamId, encodeResponse(encodeStatus(error), EMPTY));
  } catch (failure) {
    connection.destroy(failure instanceof Error ? failure : undefined);
  }
};

const sendResponse = (connection: Connection, streamId: number, payload: Uint8Array): void =>
  connection.send({ streamId, type: frameTypes.response, flags: 0, payload });
