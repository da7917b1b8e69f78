import { createConnection, type Socket } from 'node:net';
import { SOCKET_PATH_BYTES_MAX } from '../bootstrap.ts';
import { canceled, deadlineExceeded, unavailable } from '../errdefs.ts';
import { Answer, type CallOptions, type FrameReceiver, limitCall, methodOf, refuseEnded } from './client-call.ts';
import { ClientStream } from './client-stream.ts';
import { Connection } from './connection.ts';
import {
  decodeMessage,
  type MethodDefinition,
  requestCodec,
  type RequestOf,
  responseCodec,
  type ResponseOf,
  type ServiceDefinition,
} from './definition.ts';
import { EMPTY, type Frame, frameFlags, frameTypes } from './frame.ts';
import { encodeRequest } from './envelope.ts';
import { encodeMetadata } from './metadata.ts';
import { encodeTimeout, startTimer } from './timeout.ts';

export interface ConnectOptions {
  /** DeadlineExceeded when it has passed; default: none. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const STREAM_ID_MAX = 2 ** 32 - 1;

/** The client's side of one connection; any number of calls at once. */
export class TtrpcClient {
  readonly #connection: Connection;
  readonly #receivers = new Map<number, FrameReceiver>();
  #nextStreamId = 1;

  /** Takes over a connected socket. */
  constructor(socket: Socket) {
    // What nobody waits for is for a call that was given up, or nonsense.
    const onFrame = (frame: Frame): void => this.#receivers.get(frame.streamId)?.receive(frame);
    this.#connection = new Connection(socket, { onFrame });
    void this.#connection.closed.then(() => {
      const error = this.#connection.closedError();
      for (const receiver of this.#receivers.values()) receiver.fail(error);
      this.#receivers.clear();
    });
  }

  /** Connects to a unix socket, `/path` or `unix:///path`; Unavailable, with the path named, if nobody answers. */
  static async connect(path: string, options: ConnectOptions = {}): Promise<TtrpcClient> {
    return new TtrpcClient(await connectSocket(path.replace(/^unix:\/\//, ''), options));
  }

  /** Resolves when the connection is gone, whoever closed it. */
  get closed(): Promise<void> {
    return this.#connection.closed;
  }

  get open(): boolean {
    return this.#connection.open && this.#nextStreamId <= STREAM_ID_MAX;
  }

  /** Calls under way fail with Unavailable; the server sees that their caller is gone. */
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
    refuseEnded(called.name, options);
    const document = documentOf(definition, called, request, options);
    const answer = new Answer();
    const stop = limitCall(called.name, options, (error) => answer.fail(error));
    let streamId = 0;
    try {
      while (this.#connection.congested) await Promise.race([this.#connection.drained(), answer.payload]);
      streamId = this.#register(answer);
      this.#connection.send({ streamId, type: frameTypes.request, flags: 0, payload: document });
      const payload = await answer.payload;
      // The codec is the one that the definition names.
      return decodeMessage(responseCodec(called), payload, `response of ${called.name}`) as ResponseOf<D['methods'][K]>;
    } finally {
      stop();
      this.#receivers.delete(streamId);
    }
  }

  /** A call with a stream in either direction. A method that takes one request gets it as `first`. */
  stream<D extends ServiceDefinition, K extends keyof D['methods'] & string>(
    definition: D,
    method: K,
    options: CallOptions & { readonly first?: RequestOf<D['methods'][K]> } = {},
  ): ClientStream<RequestOf<D['methods'][K]>, ResponseOf<D['methods'][K]>> {
    const called = methodOf(definition, method);
    refuseEnded(called.name, options);
    const payload = documentOf(definition, called, options.first, options);
    const streamId = this.#register({
      receive: (frame) => stream.receive(frame),
      fail: (error) => stream.fail(error),
    });
    const onOver = (): void => {
      stop();
      this.#receivers.delete(streamId);
    };
    const stream = new ClientStream<RequestOf<D['methods'][K]>, ResponseOf<D['methods'][K]>>({
      connection: this.#connection,
      method: called,
      streamId,
      onOver,
    });
    const stop = limitCall(called.name, options, (error) => stream.fail(error));
    try {
      const flags = called.requestStream ? frameFlags.remoteOpen : frameFlags.remoteClosed;
      this.#connection.send({ streamId, type: frameTypes.request, flags, payload });
    } catch (error) {
      onOver();
      throw error;
    }
    return stream;
  }

  #register(receiver: FrameReceiver): number {
    if (!this.open) throw this.#connection.closedError();
    const streamId = this.#nextStreamId;
    this.#nextStreamId += 2;
    this.#receivers.set(streamId, receiver);
    return streamId;
  }
}

/** The request's document. No message at all is what a stream of requests begins with. */
const documentOf = (
  definition: ServiceDefinition,
  method: MethodDefinition,
  message: unknown,
  { timeoutMs, metadata }: CallOptions,
): Uint8Array =>
  encodeRequest({
    service: definition.fullName,
    method: method.name,
    payload: message === undefined ? EMPTY : requestCodec(method).encode(message).finish(),
    timeoutNano: encodeTimeout(timeoutMs),
    metadata: encodeMetadata(metadata),
  });

const connectSocket = async (path: string, { timeoutMs, signal }: ConnectOptions): Promise<Socket> => {
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
    throw unavailable(`connect to ${path}: the path is longer than ${SOCKET_PATH_BYTES_MAX} bytes`);
  }
  if (signal?.aborted === true) throw canceled(`connect to ${path}`, { cause: signal.reason });
  const socket = createConnection({ path });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const late = (): void => reject(deadlineExceeded(`connect to ${path} took longer than ${timeoutMs} ms`));
  const timer = startTimer(timeoutMs, late);
  const onAbort = (): void => reject(canceled(`connect to ${path}`, { cause: signal?.reason }));
  signal?.addEventListener('abort', onAbort, { once: true });
  socket.once('connect', resolve);
  socket.once('error', (error) => reject(unavailable(`connect to ${path}: ${error.message}`, { cause: error })));
  try {
    await promise;
    return socket;
  } catch (error) {
    socket.on('error', () => undefined).destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
};
