import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { TtrpcClient } from '../../common/ttrpc/client.ts';
import { encodeFrame, type Frame, FrameDecoder, frameTypes } from '../../common/ttrpc/frame.ts';
import type { CallContext, Handlers, Peer } from '../../common/ttrpc/handler.ts';
import { TtrpcServer, type TtrpcServerOptions } from '../../common/ttrpc/server.ts';
import { Request, Response, StringList } from '../../proto/gen/ttrpc/ttrpc.ts';

/** Longest that a test here may take, ms: what hangs fails. */
export const LIMIT = { timeout: 20_000 };

const method = <Q extends boolean, R extends boolean>(name: string, requestStream: Q, responseStream: R) => ({
  name,
  requestType: StringList,
  requestStream,
  responseType: StringList,
  responseStream,
});

/** One method of each kind; messages are lists of strings. */
export const WordsDefinition = {
  name: 'Words',
  fullName: 'test.Words',
  methods: {
    echo: method('Echo', false, false),
    collect: method('Collect', true, false),
    split: method('Split', false, true),
    chat: method('Chat', true, true),
  },
};

export type WordsHandlers = Handlers<typeof WordsDefinition>;

export const words = (...list: string[]): StringList => ({ list });

export const handlers: WordsHandlers = {
  echo: async (request) => request,
  /** All words of all messages. */
  collect: async (requests) => {
    const all = words();
    for await (const { list } of requests) all.list.push(...list);
    return all;
  },
  /** A message for each word. */
  async *split({ list }) {
    for (const word of list) yield words(word);
  },
  /** Answers each message with the same. */
  async *chat(requests) {
    yield* requests;
  },
};

export interface Served {
  readonly server: TtrpcServer;
  readonly path: string;
  /** A client of its own connection. */
  readonly client: () => Promise<TtrpcClient>;
  readonly raw: () => Promise<RawPeer>;
}

/** A server on a socket of its own, gone after the test. */
export const serve = async (
  t: TestContext,
  served: Partial<WordsHandlers> = {},
  options: TtrpcServerOptions & { readonly peer?: Peer } = {},
): Promise<Served> => {
  const server = new TtrpcServer(options).serve(WordsDefinition, { ...handlers, ...served });
  const path = await listen(t, (socket) => server.accept(socket, options.peer));
  return {
    server,
    path,
    client: async () => {
      const client = await TtrpcClient.connect(path);
      t.after(() => client.close());
      return client;
    },
    raw: async () => RawPeer.connect(t, path),
  };
};

/** Listens on a path of its own, of at least `pathBytes` bytes, until the test is over. */
export const listen = async (t: TestContext, onSocket: (socket: Socket) => void, pathBytes = 0): Promise<string> => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-ttrpc-'));
  const path = join(directory, 'sock').padEnd(pathBytes, '-');
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    onSocket(socket);
  });
  await once(listener.listen(path), 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    listener.close();
    rmSync(directory, { recursive: true });
  });
  return path;
};

/** A client, and the other end of its connection in the test's hands. */
export const clientOf = async (t: TestContext): Promise<{ client: TtrpcClient; peer: RawPeer }> => {
  const { promise: accepted, resolve } = Promise.withResolvers<Socket>();
  const client = await TtrpcClient.connect(await listen(t, resolve));
  t.after(() => client.close());
  return { client, peer: new RawPeer(await accepted) };
};

/** One end of a connection that says whatever the test wants. */
export class RawPeer {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
  readonly #decoder = new FrameDecoder();
  readonly #frames: Frame[] = [];
  #wake = Promise.withResolvers<void>();
  #gone = false;

  constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.on('close', resolve));
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.#frames.push(...this.#decoder.push(chunk));
      this.#tell();
    });
    socket.on('close', () => {
      this.#gone = true;
      this.#tell();
    });
  }

  static async connect(t: TestContext, path: string): Promise<RawPeer> {
    const socket = connect(path);
    await once(socket, 'connect');
    t.after(() => socket.destroy());
    return new RawPeer(socket);
  }

  /** The next frame that came in. */
  async frame(): Promise<Frame> {
    while (this.#frames.length === 0) {
      if (this.#gone) throw new Error('the connection was closed');
      await this.#wake.promise;
    }
    return this.#frames.shift() as Frame; // not empty: see above
  }

  /** The next frame as the answer to `streamId`: a code, 0 for success, with its message or the words. */
  async answer(streamId: number): Promise<{ code: number; message: string; list: string[] }> {
    const frame = await this.frame();
    if (frame.streamId !== streamId || frame.type !== frameTypes.response) {
      throw new Error(`a frame of type ${frame.type} on stream ${frame.streamId}, not the answer to ${streamId}`);
    }
    const { status, payload } = Response.decode(frame.payload);
    return { code: status?.code ?? 0, message: status?.message ?? '', list: StringList.decode(payload).list };
  }

  send(frame: Partial<Frame>): void {
    this.bytes(encodeFrame({ streamId: 1, type: frameTypes.request, flags: 0, payload: new Uint8Array(), ...frame }));
  }

  request(streamId: number, request: Partial<Request>, flags = 0): void {
    const whole = Request.create({ service: 'test.Words', method: 'Echo', ...request });
    this.send({ streamId, flags, payload: Request.encode(whole).finish() });
  }

  bytes(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  #tell(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }
}

export const wordsPayload = (...list: string[]): Buffer => Buffer.from(StringList.encode({ list }).finish());

/** A handler that ends only with its signal, and what tests want to know of it. */
export const stuck = () => {
  const seen: { context?: CallContext; reason?: unknown } = {};
  const echo = (_: unknown, context: CallContext): Promise<StringList> => {
    seen.context = context;
    return new Promise((_resolve, reject) =>
      context.signal.addEventListener('abort', () => {
        seen.reason = context.signal.reason;
        reject(new Error('stopped'));
      }),
    );
  };
  return { seen, echo };
};

/** Everything that an async iterable gives. */
export const all = async <T>(iterable: AsyncIterable<T>): Promise<T[]> => {
  const items: T[] = [];
  for await (const item of iterable) items.push(item);
  return items;
};

/** Waits for what nothing announces, within the test's limit. */
export const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
};
