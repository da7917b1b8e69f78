import * as grpc from '@grpc/grpc-js';

/** A service as proto/gen describes it. */
export interface Service {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, Method>>;
}

interface Codec {
  encode(message: never): { finish(): Uint8Array };
  decode(input: Uint8Array): unknown;
  fromPartial(object: never): unknown;
}

interface Method {
  readonly name: string;
  readonly requestType: Codec;
  readonly responseType: Codec;
  readonly responseStream: boolean;
}

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

type Request<M extends Method> = Partial<ReturnType<M['requestType']['decode']>>;
type Response<M extends Method> = ReturnType<M['responseType']['decode']>;

/** The methods of a service: a promise of the response, or a stream that is an async iterable and has `cancel()`. */
export type Stub<S extends Service> = {
  readonly [K in keyof S['methods']]: (
    request?: Request<S['methods'][K]>,
    options?: CallOptions,
  ) => S['methods'][K]['responseStream'] extends true
    ? grpc.ClientReadableStream<Response<S['methods'][K]>>
    : Promise<Response<S['methods'][K]>>;
};

/** How long a call may take if it does not say, milliseconds. */
const CALL_MS = 60_000;

/**
 * A client of any service on a daemon's socket, with nothing between a test and the wire: no retries, no defaults but
 * protobuf's. A failed call rejects with grpc-js's error (`code`, `details`).
 */
export class RawClient {
  readonly #client: grpc.Client;
  readonly #namespace: string;

  constructor(address: string, namespace: string) {
    this.#namespace = namespace;
    this.#client = new grpc.Client(`unix:${address}`, grpc.credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
      'grpc.default_authority': 'localhost',
      'grpc.max_receive_message_length': 16 << 20,
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 200,
    });
  }

  service<S extends Service>(service: S): Stub<S> {
    const stub: Record<string, unknown> = {};
    for (const [key, method] of Object.entries(service.methods)) {
      stub[key] = (request: object = {}, options: CallOptions = {}) => this.#call(service, method, request, options);
    }
    return stub as Stub<S>; // made method by method from the definition
  }

  close(): void {
    this.#client.close();
  }

  #call({ fullName }: Service, method: Method, request: object, { timeoutMs, metadata }: CallOptions): unknown {
    const path = `/${fullName}/${method.name}`;
    const headers = new grpc.Metadata();
    for (const [key, value] of Object.entries({ 'containerd-namespace': this.#namespace, ...metadata })) {
      headers.set(key, value);
    }
    const encode = (message: object): Buffer =>
      Buffer.from(method.requestType.encode(method.requestType.fromPartial(message as never) as never).finish());
    const decode = (bytes: Buffer): unknown => method.responseType.decode(bytes);
    if (method.responseStream) {
      const options = timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
      return this.#client.makeServerStreamRequest(path, encode, decode, request, headers, options);
    }
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const options = { deadline: Date.now() + (timeoutMs ?? CALL_MS) };
    this.#client.makeUnaryRequest(path, encode, decode, request, headers, options, (error, response) =>
      error === null ? resolve(response) : reject(error),
    );
    return promise;
  }
}
