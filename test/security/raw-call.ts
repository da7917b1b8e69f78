import * as grpc from '@grpc/grpc-js';

/** What a call was answered with; code 0: a reply. */
export interface Outcome {
  readonly code: number;
  readonly details: string;
}

/** Calls any path of a gRPC socket with any bytes and any metadata, on a connection of its own. */
export const rawCall = async (
  address: string,
  path: string,
  bytes: Uint8Array,
  metadata: Readonly<Record<string, string>> = {},
  options: grpc.ChannelOptions = {},
): Promise<Outcome> => {
  const client = new grpc.Client(`unix:${address}`, grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
    'grpc.default_authority': 'localhost',
    ...options,
  });
  const headers = new grpc.Metadata();
  for (const [key, value] of Object.entries(metadata)) headers.set(key, value);
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const same = (buffer: Buffer): Buffer => buffer;
  const how = { deadline: Date.now() + CALL_MS };
  client.makeUnaryRequest(path, same, same, Buffer.from(bytes), headers, how, (error) =>
    resolve({ code: error?.code ?? 0, details: error?.details ?? '' }),
  );
  return promise.finally(() => client.close());
};

/** How long a call may take, ms. */
const CALL_MS = 20_000;

/** The outcome of a call that a client makes. */
export const outcomeOf = (call: Promise<unknown>): Promise<Outcome> =>
  call.then(
    () => ({ code: 0, details: '' }),
    ({ code, details }: Outcome) => ({ code, details }),
  );
