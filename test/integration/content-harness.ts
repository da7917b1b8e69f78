import { createHash } from 'node:crypto';
import * as grpc from '@grpc/grpc-js';
import {
  ContentDefinition,
  WriteAction,
  WriteContentRequest,
  WriteContentResponse,
} from '../../proto/gen/containerd/services/content/v1/content.ts';

export type Request = Partial<WriteContentRequest>;

export interface WriteOptions {
  readonly namespace?: string;
  readonly lease?: string;
}

/** How long a Write call may take, milliseconds. */
const CALL_MS = 20_000;

/** A Write call, request by request, as containerd's client library makes one. */
export class WriteCall implements AsyncDisposable {
  readonly #client: grpc.Client;
  readonly #stream: grpc.ClientDuplexStream<Request, WriteContentResponse>;
  readonly #responses: AsyncIterator<WriteContentResponse>;

  constructor(address: string, { namespace = 'test', lease }: WriteOptions = {}) {
    this.#client = new grpc.Client(`unix:${address}`, grpc.credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
    const metadata = new grpc.Metadata();
    metadata.set('containerd-namespace', namespace);
    if (lease !== undefined) metadata.set('containerd-lease', lease);
    this.#stream = this.#client.makeBidiStreamRequest<Request, WriteContentResponse>(
      `/${ContentDefinition.fullName}/Write`,
      (request) => Buffer.from(WriteContentRequest.encode(WriteContentRequest.fromPartial(request)).finish()),
      (bytes) => WriteContentResponse.decode(bytes),
      metadata,
      { deadline: Date.now() + CALL_MS },
    );
    this.#responses = this.#stream[Symbol.asyncIterator]() as AsyncIterator<WriteContentResponse>;
  }

  /** Sends one request and gives its response; rejects with the status if the call ended instead. */
  async send(request: Request): Promise<WriteContentResponse> {
    this.#stream.write(request);
    const { done, value } = await this.#responses.next();
    if (done === true) throw new Error('the call ended without a response');
    return value;
  }

  /** Says that no more comes, and waits until the call has ended. */
  async end(): Promise<void> {
    this.#stream.end();
    while ((await this.#responses.next()).done !== true);
  }

  /** The client goes away in the middle. */
  cancel(): void {
    this.#stream.on('error', () => undefined);
    this.#stream.cancel();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cancel();
    this.#client.close();
  }
}

export const digestOf = (data: string | Uint8Array, algorithm = 'sha256'): string =>
  `${algorithm}:${createHash(algorithm).update(data).digest('hex')}`;

/** Sends requests one after the other and gives the responses; the last must be a commit, or the call is ended. */
export const writeCall = async (
  address: string,
  requests: readonly Request[],
  options: WriteOptions = {},
): Promise<WriteContentResponse[]> => {
  await using call = new WriteCall(address, options);
  const responses: WriteContentResponse[] = [];
  for (const request of requests) responses.push(await call.send(request));
  if (requests.at(-1)?.action !== WriteAction.COMMIT) await call.end();
  return responses;
};

/** Writes a blob; gives its digest. */
export const putBlob = async (
  address: string,
  data: string | Uint8Array,
  options: WriteOptions & { readonly ref?: string; readonly labels?: Map<string, string> } = {},
): Promise<string> => {
  const { ref = digestOf(data), labels = new Map() } = options;
  const [response] = await writeCall(
    address,
    [{ action: WriteAction.COMMIT, ref, data: Buffer.from(data), total: BigInt(data.length), labels }],
    options,
  );
  return response?.digest ?? '';
};

/** All pieces of a Read, or of a List, one after the other. */
export const collect = async <T>(stream: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = [];
  for await (const one of stream) all.push(one);
  return all;
};
