import * as grpc from '@grpc/grpc-js';
import { CodedError, codes, messageOf } from '../../common/errdefs.ts';
import { NAMESPACE_KEY } from '../../common/namespace.ts';
import { type Info, SnapshotsDefinition } from '../../proto/gen/containerd/services/snapshots/v1/snapshots.ts';

type Methods = (typeof SnapshotsDefinition)['methods'];
type Single = Exclude<keyof Methods, 'list'>;
type Request<K extends keyof Methods> = Parameters<Methods[K]['requestType']['fromPartial']>[0];
type Response<K extends keyof Methods> = ReturnType<Methods[K]['responseType']['decode']>;

export interface RemoteCall {
  readonly namespace: string;
  readonly signal: AbortSignal | undefined;
}

/** Pauses between attempts to connect, milliseconds: the other process may be restarted at any time. */
const RECONNECT_PAUSE_MS = { first: 50, max: 1_000 };

export interface RemoteLimits {
  readonly receiveBytesMax: number;
  readonly sendBytesMax: number;
}

/** The snapshots service of another process. It is connected to at the first call, and again when it was restarted. */
export class RemoteSnapshots {
  readonly #client: grpc.Client;

  /** `address`: path of a unix socket. */
  constructor(address: string, { receiveBytesMax, sendBytesMax }: RemoteLimits) {
    this.#client = new grpc.Client(`unix:${address}`, grpc.credentials.createInsecure(), {
      'grpc.default_authority': 'localhost',
      'grpc.max_receive_message_length': receiveBytesMax,
      'grpc.max_send_message_length': sendBytesMax,
      'grpc.initial_reconnect_backoff_ms': RECONNECT_PAUSE_MS.first,
      'grpc.max_reconnect_backoff_ms': RECONNECT_PAUSE_MS.max,
      'grpc.enable_retries': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  /** Fails with the other side's code and text, or with Unavailable. */
  call<K extends Single>(name: K, request: Request<K>, { namespace, signal }: RemoteCall): Promise<Response<K>> {
    const method: Method = SnapshotsDefinition.methods[name];
    const { promise, resolve, reject } = Promise.withResolvers<Response<K>>();
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    const call = this.#client.makeUnaryRequest(
      pathOf(method),
      (message: unknown) => encode(method, message),
      (bytes) => method.responseType.decode(bytes) as Response<K>, // the method's own codec
      request,
      headersOf(namespace),
      {},
      (error, response) => {
        signal?.removeEventListener('abort', onAbort);
        if (error === null && response !== undefined) resolve(response);
        else reject(signal?.aborted === true ? (signal.reason as Error) : coded(error));
      },
    );
    const onAbort = (): void => call.cancel();
    signal?.addEventListener('abort', onAbort, { once: true });
    return promise;
  }

  /** The infos of all blocks. Leaving the loop ends the call. */
  async *list(request: Request<'list'>, { namespace, signal }: RemoteCall): AsyncGenerator<Info> {
    const method = SnapshotsDefinition.methods.list;
    signal?.throwIfAborted();
    const stream = this.#client.makeServerStreamRequest(
      pathOf(method),
      (message: unknown) => encode(method, message),
      (bytes) => method.responseType.decode(bytes),
      request,
      headersOf(namespace),
    );
    const onAbort = (): void => stream.cancel();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      for await (const { info } of stream) yield* info;
    } catch (error) {
      throw signal?.aborted === true ? signal.reason : coded(error);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      stream.cancel();
    }
  }

  close(): void {
    this.#client.close();
  }
}

interface Method {
  readonly name: string;
  readonly requestType: { encode(message: never): { finish(): Uint8Array }; fromPartial(object: never): unknown };
  readonly responseType: { decode(bytes: Uint8Array): unknown };
}

const pathOf = ({ name }: Method): string => `/${SnapshotsDefinition.fullName}/${name}`;

const encode = ({ requestType }: Method, message: unknown): Buffer =>
  Buffer.from(requestType.encode(requestType.fromPartial(message as never) as never).finish());

const headersOf = (namespace: string): grpc.Metadata => {
  const headers = new grpc.Metadata();
  headers.set(NAMESPACE_KEY, namespace);
  return headers;
};

const coded = (error: unknown): CodedError => {
  const { code = codes.unknown, details = messageOf(error) } = error as Partial<grpc.ServiceError>;
  return new CodedError(code, details, { cause: error });
};
