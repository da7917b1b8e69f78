import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import type { Definition } from '../../daemon/call.ts';

const ROOT = join(import.meta.dirname, '../..');

/** How long a daemon may take to listen, or to end, milliseconds. */
const DEADLINE_MS = 10_000;

export interface TestDaemon {
  readonly folder: string;
  readonly address: string;
  readonly pid: number;
  readonly process: ChildProcess;
  /** All that it has written to stderr. */
  log(): string;
  client<D extends Definition>(definition: D): Client<D>;
  /** Ends it and waits; gives its exit code, or the signal's name. */
  stop(signal?: NodeJS.Signals): Promise<number | string>;
}

export interface StartOptions {
  /** Of an earlier daemon, to start on its root and state. */
  readonly folder?: string;
  readonly arguments?: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  /** What to run it under, such as strace. */
  readonly under?: readonly string[];
}

export const temporaryFolder = (): string => mkdtempSync(join(tmpdir(), 'holdfast-daemon-'));

/** Starts a daemon with everything of its own under one folder, and waits until it listens. */
export const startDaemon = async (options: StartOptions = {}): Promise<TestDaemon> => {
  const folder = options.folder ?? temporaryFolder();
  const address = join(folder, 'h.sock');
  const command = [
    ...(options.under ?? []),
    process.execPath,
    '--no-warnings',
    join(ROOT, 'daemon/main.ts'),
    '--address',
    address,
    '--root',
    join(folder, 'root'),
    '--state',
    join(folder, 'state'),
    ...(options.arguments ?? []),
  ];
  const [program = '', ...rest] = command;
  const child = spawn(program, rest, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...options.environment },
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  try {
    await listening(() => log, ended);
  } catch (error) {
    child.kill('SIGKILL');
    if (options.folder === undefined) rmSync(folder, { recursive: true });
    throw error;
  }
  return {
    folder,
    address,
    pid: child.pid ?? 0,
    process: child,
    log: () => log,
    client: (definition) => connect(address, definition),
    stop: async (signal = 'SIGTERM') => {
      child.kill(signal);
      const [code, by] = await Promise.race([
        ended,
        sleep(DEADLINE_MS, undefined, { ref: false }).then(() => hung(log)),
      ]);
      return code ?? by ?? -1;
    },
  };
};

const hung = (log: string): never => {
  throw new Error(`the daemon did not end; its log:\n${log}`);
};

const listening = async (log: () => string, ended: Promise<unknown>): Promise<void> => {
  let gone = false;
  void ended.then(() => (gone = true));
  for (const end = Date.now() + DEADLINE_MS; Date.now() < end; await sleep(10)) {
    if (log().includes('"msg":"serving"')) return;
    if (gone) throw new Error(`the daemon ended at its start: ${log()}`);
  }
  throw new Error(`the daemon does not listen; its log:\n${log()}`);
};

/** Ends the daemon if it runs, and removes its folder. */
export const cleanUp = async (daemon: TestDaemon): Promise<void> => {
  if (daemon.process.exitCode === null && daemon.process.signalCode === null) await daemon.stop('SIGKILL');
  if (existsSync(daemon.folder)) rmSync(daemon.folder, { recursive: true });
};

type Method = Definition['methods'][string];
type Decoded<M extends Method['requestType']> = ReturnType<M['decode']>;
type Metadata = Readonly<Record<string, string>>;

/** A call gives its reply, a server stream an async iterable that ends with the call. Errors have a `code`. */
export type Client<D extends Definition> = {
  readonly [K in keyof D['methods']]: (
    request: Decoded<D['methods'][K]['requestType']>,
    options?: { readonly metadata?: Metadata; readonly deadlineMs?: number; readonly signal?: AbortSignal },
  ) => D['methods'][K]['responseStream'] extends true
    ? grpc.ClientReadableStream<Decoded<D['methods'][K]['responseType']>>
    : Promise<Decoded<D['methods'][K]['responseType']>>;
} & { close(): void };

export const connect = <D extends Definition>(address: string, definition: D): Client<D> => {
  const raw = new grpc.Client(`unix:${address}`, grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': 16 << 20,
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 100,
  });
  const client: Record<string, unknown> = { close: () => raw.close() };
  for (const [key, method] of Object.entries(definition.methods)) {
    client[key] = (request: unknown, options: Parameters<Client<Definition>[string]>[1] = {}) =>
      call(raw, `/${definition.fullName}/${method.name}`, method, request, options);
  }
  return client as Client<D>; // made method by method from the definition
};

const call = (
  raw: grpc.Client,
  path: string,
  method: Method,
  request: unknown,
  options: { readonly metadata?: Metadata; readonly deadlineMs?: number; readonly signal?: AbortSignal },
): unknown => {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries({ 'containerd-namespace': 'test', ...options.metadata })) {
    if (value !== '') metadata.set(key, value);
  }
  const encode = (message: unknown): Buffer => Buffer.from(method.requestType.encode(message as never).finish());
  const decode = (bytes: Buffer): unknown => method.responseType.decode(bytes);
  const how = options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs };
  if (method.responseStream) return raw.makeServerStreamRequest(path, encode, decode, request, metadata, how);
  return new Promise((resolve, reject) => {
    const running = raw.makeUnaryRequest(path, encode, decode, request, metadata, how, (error, reply) =>
      error === null ? resolve(reply) : reject(error),
    );
    options.signal?.addEventListener('abort', () => running.cancel(), { once: true });
  });
};

/** Everything a command prints; a test of ours uses it on real clients. */
export const run = async (program: string, ...args: readonly string[]): Promise<{ code: number; output: string }> => {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: DEADLINE_MS });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code: code ?? -1, output };
};

export const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
