import { createConnection, type Socket } from 'node:net';
import { Request, Response } from '../../proto/gen/ttrpc/ttrpc.ts';
import { canceled, deadlineExceeded, resourceExhausted, unavailable, unknownError } from '../errdefs.ts';
import { Connection } from './connection.ts';
import {
  type MethodDefinition,
  requestCodec,
  type RequestOf,
  responseCodec,
  type ResponseOf,
  type ServiceDefinition,
} from './definition.ts';
import { type Frame, FRAME_BYTES_MAX, frameFlags, frameTypes } from './frame.ts';
import { encodeMetadata, type ReadonlyMetadata } from './metadata.ts';
import { decodeStatus } from './status.ts';
import { Inbox } from './stream.ts';

export interface CallOptions {
  readonly metadata?: ReadonlyMetadata;
  /** Also told to the server; DeadlineExceeded here when it has passed. */
  readonly timeoutMs?: number;
  /** Canceled when it aborts. ttrpc has no message for that: the server learns it only from a closed connection. */
  readonly signal?: AbortSignal;
}

/** A call that sends, receives, or does both, more than once. */
export interface ClientStream<Q, R> extends AsyncIterable<R> {
  /** Resolves when the peer takes more. */
  send(message: Q): Promise<void>;
  /** No more will be sent. */
  closeSend(): void;
}

/** Where the frames of one stream go. */
interface Waiting {
  onFrame(frame: Frame): void;
  onClosed(): void;
}

const STREAM_ID_MAX = 2 ** 32 - 1;

/** The client's side of one connection; any number of calls at once. */
export class TtrpcClient {
  readonly #connection: Connection;
  readonly #waiting = new Map<number, Waiting>();
  #nextStreamId = 1;

  constructor(socket: Socket) {
    this.#connection = new Connection(socket, (frame) => this.#waiting.get(frame.streamId)?.onFrame(frame));
    void this.#connection.closed.then(() => {
      for (const waiting of this.#waiting.values()) waiting.onClosed();
      this.#waiting.clear();
    });
  }

  /** Connects to a unix socket; Unavailable, with the path named, if nobody answers. */
  static async connect(path: string, options: { readonly timeoutMs?: number } = {}): Promise<TtrpcClient> {
    const socket = createConnection({ path: path.startsWith('unix://') ? path.slice('unix://'.length) : path });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer =
      options.timeoutMs === undefined
        ? undefined
        : setTimeout(
            () => reject(deadlineExceeded(`connect to ${path} took longer than ${options.timeoutMs} ms`)),
            options.timeoutMs,
          );
    socket.once('connect', resolve);
    socket.once('error', (error) => reject(unavailable(`connect to ${path}: ${error.message}`, { cause: error })));
    try {
      await promise;
    } catch (error) {
      socket.on('error', () => undefined).destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    return new TtrpcClient(socket);
  }

  /** Resolves when the connection is gone, whoever closed it. */
  get closed(): Promise<void> {
    return this.#connection.closed;
  }

  get open(): boolean {
    return this.#connection.open;
  }

  close(): void {
    this.#connection.destroy();
  }

  /** One request, one response. `method` is the key in the definition. */
  async call<D extends ServiceDefinition, K extends keyof D['methods'] & string>(
    definition: D,
    method: K,
    request: RequestOf<D['methods'][K]>,
    options: CallOptions = {},
  ): Promise<ResponseOf<D['methods'][K]>> {
    const called = methodOf(definition, method);
    const payload = requestCodec(called).encode(request).finish();
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    const streamId = this.#register({
      onFrame: (frame) => {
        try {
          resolve(payloadOf(frame));
        } catch (error) {
          reject(error);
        }
      },
      onClosed: () => reject(unavailable('ttrpc: closed')),
    });
    const stop = limit(called.name, options, reject);
    try {
      this.#send(streamId, called, definition.fullName, { payload, flags: 0, options });
      // The codec is the one that the definition names.
      return responseCodec(called).decode(await promise) as ResponseOf<D['methods'][K]>;
    } finally {
      stop();
      this.#waiting.delete(streamId);
    }
  }

  /** A call with a stream in either direction. A method that takes one request gets it as `first`. */
  stream<D extends ServiceDefinition, K extends keyof D['methods'] & string>(
    definition: D,
    method: K,
    options: CallOptions & { readonly first?: RequestOf<D['methods'][K]> } = {},
  ): ClientStream<RequestOf<D['methods'][K]>, ResponseOf<D['methods'][K]>> {
    type Q = RequestOf<D['methods'][K]>;
    type R = ResponseOf<D['methods'][K]>;
    const called = methodOf(definition, method);
    const codec = requestCodec(called);
    let stop = (): void => undefined;
    const forget = (): void => {
      stop();
      this.#waiting.delete(streamId);
    };
    const inbox = new Inbox<R>((bytes) => responseCodec(called).decode(bytes) as R, forget);
    const fail = (error: Error): void => {
      inbox.end(error);
      forget();
    };
    const streamId = this.#register({
      onFrame: (frame) => {
        try {
          if (frame.type === frameTypes.response) {
            const payload = payloadOf(frame);
            if (!called.responseStream) inbox.push(payload);
            inbox.end();
            return forget();
          }
          if (frame.oversizedBytes !== undefined) throw oversized(frame.oversizedBytes);
          if ((frame.flags & frameFlags.noData) === 0 && !inbox.push(frame.payload)) return forget();
          if ((frame.flags & frameFlags.remoteClosed) !== 0) {
            inbox.end();
            forget();
          }
        } catch (error) {
          fail(error instanceof Error ? error : unknownError(String(error)));
        }
      },
      onClosed: () => fail(unavailable('ttrpc: closed')),
    });
    stop = limit(called.name, options, fail);
    const { first } = options;
    const payload = first === undefined ? new Uint8Array() : codec.encode(first).finish();
    const flags = called.requestStream ? frameFlags.remoteOpen : frameFlags.remoteClosed;
    try {
      this.#send(streamId, called, definition.fullName, { payload, flags, options });
    } catch (error) {
      forget();
      throw error;
    }
    return {
      send: async (message: Q) => {
        this.#connection.send({ streamId, type: frameTypes.data, flags: 0, payload: codec.encode(message).finish() });
        await this.#connection.writable();
      },
      closeSend: () => {
        const end = frameFlags.remoteClosed | frameFlags.noData;
        this.#connection.send({ streamId, type: frameTypes.data, flags: end, payload: new Uint8Array() });
      },
      [Symbol.asyncIterator]: () => inbox,
    };
  }

  #register(waiting: Waiting): number {
    if (!this.#connection.open || this.#nextStreamId > STREAM_ID_MAX) throw unavailable('ttrpc: closed');
    const streamId = this.#nextStreamId;
    this.#nextStreamId += 2;
    this.#waiting.set(streamId, waiting);
    return streamId;
  }

  #send(
    streamId: number,
    method: MethodDefinition,
    service: string,
    { payload, flags, options }: { payload: Uint8Array; flags: number; options: CallOptions },
  ): void {
    const request = Request.encode({
      service,
      method: method.name,
      payload: Buffer.from(payload),
      timeoutNano: options.timeoutMs === undefined ? 0n : BigInt(Math.ceil(options.timeoutMs * 1e6)),
      metadata: encodeMetadata(options.metadata),
    }).finish();
    this.#connection.send({ streamId, type: frameTypes.request, flags, payload: request });
  }
}

const methodOf = (definition: ServiceDefinition, key: string): MethodDefinition => {
  const method = definition.methods[key];
  if (method === undefined) throw new TypeError(`${definition.fullName} has no method ${key}`);
  return method;
};

const payloadOf = (frame: Frame): Uint8Array => {
  if (frame.oversizedBytes !== undefined) throw oversized(frame.oversizedBytes);
  if (frame.type !== frameTypes.response) throw unknownError(`ttrpc: unexpected message type ${frame.type}`);
  const response = Response.decode(frame.payload);
  const error = decodeStatus(response.status);
  if (error !== undefined) throw error;
  return response.payload;
};

const oversized = (bytes: number): Error =>
  resourceExhausted(`message length ${bytes} exceed maximum message size of ${FRAME_BYTES_MAX}`);

/** Fails a call when its time is up or its signal aborts; gives what takes both back. */
const limit = (method: string, { timeoutMs, signal }: CallOptions, fail: (error: Error) => void): (() => void) => {
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => fail(deadlineExceeded(method)), timeoutMs);
  const onAbort = (): void => fail(canceled(method, { cause: signal?.reason }));
  if (signal?.aborted === true) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  return () => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  };
};
