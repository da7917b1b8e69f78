import type { Socket } from 'node:net';
import { Request, Response } from '../../proto/gen/ttrpc/ttrpc.ts';
import {
  CodedError,
  codes,
  deadlineExceeded,
  invalidArgument,
  resourceExhausted,
  unavailable,
  unimplemented,
} from '../errdefs.ts';
import { Connection } from './connection.ts';
import { type MethodDefinition, requestCodec, responseCodec } from './definition.ts';
import { type Frame, FRAME_BYTES_MAX, frameFlags, frameTypes } from './frame.ts';
import { decodeMetadata } from './metadata.ts';
import type { CallContext, Peer } from './server.ts';
import { encodeStatus } from './status.ts';
import { Inbox } from './stream.ts';

/** Calls that one connection may have under way; one more is refused with ResourceExhausted. */
export const CALLS_MAX = 4096;
/** Longest timeout that a timer can hold, ms; a longer one is as good as none. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export interface CallHandler {
  readonly method: MethodDefinition;
  readonly run: (request: unknown, context: CallContext) => Promise<unknown> | AsyncIterable<unknown>;
}

export interface ServerConnectionParts {
  readonly methods: ReadonlyMap<string, CallHandler>;
  readonly peer: Peer | undefined;
  readonly onError: ((error: unknown, context: CallContext) => void) | undefined;
}

interface Call {
  readonly controller: AbortController;
  /** Of a method whose requests are a stream, until the client has closed it. */
  inbox: Inbox<unknown> | undefined;
}

/** The server's side of one connection: requests in, one call each, answers out as they come. */
export class ServerConnection {
  readonly #connection: Connection;
  readonly #parts: ServerConnectionParts;
  readonly #calls = new Map<number, Call>();
  #lastStreamId = 0;
  #closing = false;
  #idle: (() => void) | undefined;

  constructor(socket: Socket, parts: ServerConnectionParts) {
    this.#parts = parts;
    this.#connection = new Connection(socket, (frame) => this.#receive(frame));
    void this.#connection.closed.then(() => {
      for (const call of this.#calls.values()) call.controller.abort(unavailable('ttrpc: closed'));
    });
  }

  get closed(): Promise<void> {
    return this.#connection.closed;
  }

  async close(waitMs: number): Promise<void> {
    this.#closing = true;
    if (this.#calls.size > 0 && this.#connection.open) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, waitMs);
      this.#idle = resolve;
      await Promise.race([promise, this.closed]);
      clearTimeout(timer);
    }
    for (const call of this.#calls.values()) call.controller.abort(unavailable('ttrpc: server closed'));
    this.#connection.end();
    // A peer that does not close its side holds nobody up.
    const timer = setTimeout(() => this.#connection.destroy(), 100);
    await this.closed;
    clearTimeout(timer);
  }

  #receive(frame: Frame): void {
    const { streamId, type } = frame;
    if (streamId % 2 !== 1) {
      this.#refuse(streamId, invalidArgument('StreamID must be odd for client initiated streams'));
    } else if (type === frameTypes.data) {
      this.#receiveData(frame);
    } else if (type !== frameTypes.request) {
      // Nothing that a client may send; the stream, if there is one, is left alone.
      this.#refuse(streamId, invalidArgument(`unexpected message type ${type}`));
    } else if (streamId <= this.#lastStreamId) {
      this.#refuse(streamId, invalidArgument('StreamID cannot be re-used and must increment'));
    } else {
      this.#lastStreamId = streamId;
      if (frame.oversizedBytes !== undefined) this.#refuse(streamId, oversized(frame.oversizedBytes));
      else this.#begin(frame);
    }
  }

  #receiveData({ streamId, flags, payload, oversizedBytes }: Frame): void {
    const call = this.#calls.get(streamId);
    if (call?.inbox === undefined) {
      // Data may still be on its way when a call has been answered; for a stream that never was it is nonsense.
      if (streamId > this.#lastStreamId) this.#refuse(streamId, invalidArgument('StreamID is not active'));
      return;
    }
    if (oversizedBytes !== undefined) {
      call.controller.abort(oversized(oversizedBytes));
      call.inbox.end(oversized(oversizedBytes));
      return;
    }
    if ((flags & frameFlags.noData) === 0 && !call.inbox.push(payload)) {
      call.controller.abort(resourceExhausted('ttrpc: messages of this stream come faster than they are read'));
      return;
    }
    if ((flags & frameFlags.remoteClosed) !== 0) {
      call.inbox.end();
      call.inbox = undefined;
    }
  }

  #begin({ streamId, flags, payload }: Frame): void {
    if (this.#closing) return this.#refuse(streamId, unavailable('ttrpc: server closed'));
    if (this.#calls.size >= CALLS_MAX)
      return this.#refuse(streamId, resourceExhausted(`more than ${CALLS_MAX} calls at once`));
    let request: Request;
    try {
      request = Request.decode(payload);
    } catch (error) {
      return this.#refuse(streamId, invalidArgument('malformed request', { cause: error }));
    }
    const handler = this.#parts.methods.get(`${request.service}/${request.method}`);
    if (handler === undefined) {
      return this.#refuse(streamId, unimplemented(`method ${request.service}/${request.method}`));
    }
    const call: Call = { controller: new AbortController(), inbox: undefined };
    let input: unknown;
    try {
      if (handler.method.requestStream) {
        const codec = requestCodec(handler.method);
        call.inbox = new Inbox(
          (bytes) => codec.decode(bytes),
          () => undefined,
        );
        input = call.inbox;
        if (request.payload.length > 0) call.inbox.push(request.payload);
        if ((flags & frameFlags.remoteOpen) === 0) call.inbox.end();
      } else {
        input = requestCodec(handler.method).decode(request.payload);
      }
    } catch (error) {
      return this.#refuse(streamId, invalidArgument(`malformed message of ${request.method}`, { cause: error }));
    }
    this.#calls.set(streamId, call);
    void this.#run(streamId, call, handler, input, request);
  }

  async #run(streamId: number, call: Call, handler: CallHandler, input: unknown, request: Request): Promise<void> {
    const { signal } = call.controller;
    const deadlineMs = request.timeoutNano > 0n ? Math.ceil(Number(request.timeoutNano) / 1e6) : undefined;
    const context: CallContext = {
      service: request.service,
      method: request.method,
      metadata: decodeMetadata(request.metadata),
      signal,
      deadlineMs,
      peer: this.#parts.peer,
    };
    const timer =
      deadlineMs === undefined || deadlineMs > TIMER_MS_MAX
        ? undefined
        : setTimeout(() => call.controller.abort(deadlineExceeded(request.method)), deadlineMs);
    try {
      if (handler.method.responseStream) {
        await this.#stream(streamId, signal, handler, handler.run(input, context) as AsyncIterable<unknown>);
      } else {
        const response = await (handler.run(input, context) as Promise<unknown>);
        this.#respond(streamId, undefined, responseCodec(handler.method).encode(response).finish());
      }
    } catch (error) {
      // What ended the call is the answer, whatever a handler made of it.
      const reason: unknown = signal.reason;
      const told = signal.aborted && reason instanceof CodedError ? reason : error;
      this.#parts.onError?.(told, context);
      this.#refuse(streamId, told);
    } finally {
      clearTimeout(timer);
      call.inbox?.end();
      this.#calls.delete(streamId);
      if (this.#calls.size === 0) this.#idle?.();
    }
  }

  async #stream(
    streamId: number,
    signal: AbortSignal,
    handler: CallHandler,
    responses: AsyncIterable<unknown>,
  ): Promise<void> {
    const codec = responseCodec(handler.method);
    const iterator = responses[Symbol.asyncIterator]();
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    aborted.catch(() => undefined);
    try {
      for (;;) {
        const next = await Promise.race([iterator.next(), aborted]);
        if (next.done === true) break;
        this.#connection.send({
          streamId,
          type: frameTypes.data,
          flags: 0,
          payload: codec.encode(next.value).finish(),
        });
        await Promise.race([this.#connection.writable(), aborted]);
      }
      const flags = frameFlags.remoteClosed | frameFlags.noData;
      this.#connection.send({ streamId, type: frameTypes.data, flags, payload: new Uint8Array() });
    } finally {
      signal.removeEventListener('abort', onAbort);
      void Promise.resolve(iterator.return?.()).catch(() => undefined);
    }
  }

  #refuse(streamId: number, error: unknown): void {
    this.#respond(streamId, error, new Uint8Array());
  }

  /** An answer that does not fit a frame becomes the error that says so; one that nobody can get any more is dropped. */
  #respond(streamId: number, error: unknown, payload: Uint8Array): void {
    if (!this.#connection.open) return;
    const status = error === undefined ? undefined : encodeStatus(error);
    const document = Response.encode({ status, payload: Buffer.from(payload) }).finish();
    if (document.length > FRAME_BYTES_MAX) return this.#refuse(streamId, oversized(document.length));
    this.#connection.send({ streamId, type: frameTypes.response, flags: 0, payload: document });
  }
}

const oversized = (bytes: number): CodedError =>
  new CodedError(codes.resourceExhausted, `message length ${bytes} exceed maximum message size of ${FRAME_BYTES_MAX}`);
