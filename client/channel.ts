import { resolve } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { SOCKET_PATH_BYTES_MAX } from '../common/bootstrap.ts';
import { CodedError, canceled, codes, deadlineExceeded, invalidArgument, type Code } from '../common/errdefs.ts';
import { NAMESPACE_KEY } from '../common/namespace.ts';

/** Largest message in either direction, bytes. Source: containerd's defaults for its clients. */
const MESSAGE_BYTES_MAX = 16 << 20;

/** Longest pause between two attempts to connect, milliseconds: a daemon that restarts is back within a second or two. */
const RECONNECT_PAUSE_MS_MAX = 500;

interface ResponseMessage {
  decode(input: Uint8Array): unknown;
}

interface RequestMessage extends ResponseMessage {
  encode(message: never): { finish(): Uint8Array };
  fromPartial(object: never): unknown;
}

export interface Method {
  readonly name: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestType: RequestMessage;
  readonly responseType: ResponseMessage;
}

/** A service as proto/gen describes it. */
export interface Service {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, Method>>;
}

type Request<M extends Method> = Partial<ReturnType<M['requestType']['decode']>>;
type Response<M extends Method> = ReturnType<M['responseType']['decode']>;

type Single<S extends Service> = {
  [K in keyof S['methods']]: S['methods'][K]['responseStream'] extends true ? never : K;
}[keyof S['methods']] &
  string;
type Streaming<S extends Service> = {
  [K in keyof S['methods']]: S['methods'][K]['responseStream'] extends true ? K : never;
}[keyof S['methods']] &
  string;

/** Nobody listens on the socket, or we may not connect to it: the call did not reach a daemon. */
export class UnreachableError extends CodedError {
  /** Path of the socket. */
  readonly address: string;
  /** `ENOENT`, `ECONNREFUSED`, `EACCES`, … where the system said so. */
  readonly reason: string;

  constructor(address: string, reason: string, options?: ErrorOptions) {
    super(codes.unavailable, `no daemon answers on ${address} (${reason}): unavailable`, options);
    this.name = 'UnreachableError';
    this.address = address;
    this.reason = reason;
  }
}

/**
 * One connection to a daemon, shared by everything that speaks through it. It connects at the first call and connects
 * again by itself when the daemon was restarted; a call that was under way then fails with unavailable.
 */
export class Channel {
  readonly address: string;
  readonly #client: grpc.Client;

  /** `address`: a path, or `unix://` and a path. */
  constructor(address: string) {
    this.address = socketPath(address);
    this.#client = new grpc.Client(`unix:${this.address}`, grpc.credentials.createInsecure(), {
      'grpc.default_authority': 'localhost',
      'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
      'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': RECONNECT_PAUSE_MS_MAX,
      'grpc.enable_retries': 0, // whether a call may be repeated is for its caller to know
      'grpc.service_config_disable_resolution': 1,
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  /** Calls a method with one answer. Fields that `request` leaves out have their protobuf defaults. */
  call<S extends Service, K extends Single<S>>(
    service: S,
    key: K,
    request: Request<S['methods'][K]>,
    options: CallOptions,
    signal?: AbortSignal,
  ): Promise<Response<S['methods'][K]>> {
    const { promise, resolve: succeed, reject } = Promise.withResolvers<Response<S['methods'][K]>>();
    const method = service.methods[key] as Method;
    if (isAborted(signal)) return Promise.reject(this.#aborted(method, signal));
    const call = this.#client.makeUnaryRequest(
      pathOf(service, method),
      serializer(method),
      (bytes) => method.responseType.decode(bytes) as Response<S['methods'][K]>, // the method's own codec
      request,
      metadataOf(options),
      {},
      (error, response) => {
        signal?.removeEventListener('abort', onAbort);
        if (error === null && response !== undefined) succeed(response);
        else if (isAborted(signal)) reject(this.#aborted(method, signal));
        else reject(this.#coded(error));
      },
    );
    const onAbort = (): void => call.cancel();
    signal?.addEventListener('abort', onAbort, { once: true });
    return promise;
  }

  /**
   * Calls a method that answers with a stream. The stream ends when the server ends it, with the server's error if it
   * gave one; leaving the loop or aborting `signal` cancels the call. `onHeaders` gets the metadata that came first.
   */
  async *stream<S extends Service, K extends Streaming<S>>(
    service: S,
    key: K,
    request: Request<S['methods'][K]>,
    options: CallOptions & { readonly onHeaders?: (headers: ReadonlyMap<string, string>) => void },
    signal?: AbortSignal,
  ): AsyncGenerator<Response<S['methods'][K]>, void, undefined> {
    const method = service.methods[key] as Method;
    if (isAborted(signal)) throw this.#aborted(method, signal);
    const call = this.#client.makeServerStreamRequest(
      pathOf(service, method),
      serializer(method),
      (bytes) => method.responseType.decode(bytes) as Response<S['methods'][K]>, // the method's own codec
      request,
      metadataOf(options),
    );
    call.on('metadata', (metadata: grpc.Metadata) => options.onHeaders?.(textHeaders(metadata)));
    const onAbort = (): void => call.cancel();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      for await (const message of call) yield message as Response<S['methods'][K]>; // a stream is untyped
    } catch (error) {
      throw isAborted(signal) ? this.#aborted(method, signal) : this.#coded(error);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      call.on('error', () => undefined); // the CANCELLED that our own cancel brings
      call.cancel();
    }
  }

  close(): void {
    this.#client.close();
  }

  #aborted(method: Method, signal: AbortSignal | undefined): CodedError {
    const reason: unknown = signal?.reason;
    if (reason instanceof CodedError) return reason;
    const timedOut = reason instanceof DOMException && reason.name === 'TimeoutError';
    return (timedOut ? deadlineExceeded : canceled)(method.name, { cause: reason });
  }

  #coded(error: unknown): CodedError {
    const { code = codes.unknown, details = String(error) } = (error ?? {}) as {
      readonly code?: Code; // gRPC's numbers are ours
      readonly details?: string;
    };
    if (code === codes.unavailable && details.includes('No connection established')) {
      return new UnreachableError(this.address, /\bE[A-Z]{3,}\b/.exec(details)?.[0] ?? details, { cause: error });
    }
    return new CodedError(code, details, { cause: error });
  }
}

/** What travels beside the request. */
export interface CallOptions {
  /** `containerd-namespace`. */
  readonly namespace?: string;
  /** More metadata; keys in lower case. */
  readonly metadata?: Readonly<Record<string, string>>;
}

const socketPath = (address: string): string => {
  const path = resolve(address.replace(/^unix:(\/\/)?/, ''));
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
    throw invalidArgument(`socket path ${path} is longer than ${SOCKET_PATH_BYTES_MAX} bytes`);
  }
  return path;
};

/** As a function: a check before a call says nothing about the time after it. */
const isAborted = (signal: AbortSignal | undefined): boolean => signal?.aborted === true;

const pathOf = (service: Service, method: Method): string => `/${service.fullName}/${method.name}`;

const serializer =
  (method: Method) =>
  (request: unknown): Buffer => {
    const whole = method.requestType.fromPartial(request as never) as never; // the method's own codec
    return Buffer.from(method.requestType.encode(whole).finish());
  };

const metadataOf = ({ namespace, metadata = {} }: CallOptions): grpc.Metadata => {
  const result = new grpc.Metadata();
  if (namespace !== undefined) result.set(NAMESPACE_KEY, namespace);
  for (const [key, value] of Object.entries(metadata)) result.set(key, value);
  return result;
};

const textHeaders = (metadata: grpc.Metadata): ReadonlyMap<string, string> =>
  new Map(Object.entries(metadata.getMap()).map(([key, value]) => [key, String(value)]));
