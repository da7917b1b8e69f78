import { accessSync, closeSync, constants as modes, openSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { DEFAULT_PATH, RUNTIME_ENVIRONMENT_KEYS } from '../../common/bootstrap.ts';
import { canceled, deadlineExceeded, messageOf } from '../../common/errdefs.ts';
import { pipe, Poller, type ProcessExit, readNow, setNonblocking, writeNow } from '../../native/index.ts';
import { Child } from '../children.ts';
import { RuntimeFailure } from './errors.ts';

/** Longest output of a runtime that is kept, bytes; the rest is dropped. `ps` of 10,000 processes has some 70,000. */
const OUTPUT_BYTES_MAX = 4 << 20;
const READ_BYTES = 16 << 10;
/** After the runtime has ended: how long something it left behind may hold its output open, ms. */
const OUTPUT_GRACE_MS = 500;
/** After a SIGKILL: how long the end of the runtime is waited for, ms. A process in an uninterruptible sleep may stay. */
const KILL_WAIT_MS = 2_000;

export interface RunOptions {
  /** Words for errors: `runc create`. */
  readonly what: string;
  /** Descriptors 0–2 of the process; without it 0 is `input`, and 1 and 2 are collected. */
  readonly stdio?: readonly [number, number, number];
  readonly input?: string;
  /** After this many ms the process is killed and DeadlineExceeded is thrown; default: never. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Runs a runtime's binary to its end and gives its standard output; a status other than 0 is a RuntimeFailure with what
 * it wrote to standard error. The process has a session of its own, so that a cancellation takes its hooks with it.
 * No descriptor of ours but 0–2 gets there: all others are close-on-exec (CVE-2024-21626).
 */
export const run = async (binary: string, args: readonly string[], options: RunOptions): Promise<string> => {
  const { what, signal } = options;
  if (signal?.aborted === true) throw canceled(what, { cause: signal.reason });
  const own = options.stdio === undefined ? pipes(options.input) : undefined;
  const child = start(binary, args, options.stdio ?? own?.theirs ?? [0, 1, 2], own);
  const stdout = collect(own?.stdout);
  const stderr = collect(own?.stderr);
  if (own?.stdin !== undefined) feed(own.stdin, Buffer.from(options.input ?? ''));

  const cut = cutting(options);
  try {
    const first = await Promise.race([child.ended, cut.happened]);
    if (first instanceof Error) {
      child.kill();
      await Promise.race([child.ended, sleep(KILL_WAIT_MS)]);
      throw first;
    }
    await Promise.race([Promise.all([stdout.closed, stderr.closed]), sleep(OUTPUT_GRACE_MS)]);
    if ('code' in first && first.code === 0) return stdout.text();
    throw new RuntimeFailure(stderr.text().trim() || `${what} did not terminate successfully: ${statusText(first)}`);
  } finally {
    cut.release();
    stdout.close();
    stderr.close();
  }
};

/** Ends of pipes: the program's, and ours. */
interface Pipes {
  readonly theirs: readonly [number, number, number];
  readonly stdin: number | undefined;
  readonly stdout: number;
  readonly stderr: number;
}

const pipes = (input: string | undefined): Pipes => {
  const [out, err] = [pipe(), pipe()];
  const into = input === undefined ? { read: openSync('/dev/null', 'r'), write: undefined } : pipe();
  for (const fd of [out.read, err.read, into.write]) if (fd !== undefined) setNonblocking(fd, true);
  return { theirs: [into.read, out.write, err.write], stdin: into.write, stdout: out.read, stderr: err.read };
};

/** The program's ends are closed here once it has them; if it cannot be started, ours too. */
const start = (
  binary: string,
  args: readonly string[],
  stdio: readonly [number, number, number],
  own: Pipes | undefined,
): Child => {
  try {
    return Child.start(binary, [binary, ...args], runtimeEnvironment(), stdio);
  } catch (error) {
    for (const fd of [own?.stdin, own?.stdout, own?.stderr]) if (fd !== undefined) closeSync(fd);
    throw new RuntimeFailure(messageOf(error), { cause: error });
  } finally {
    for (const fd of own?.theirs ?? []) closeSync(fd);
  }
};

/** The absolute path of a binary that is named by path or to be found on PATH. */
export const findBinary = (name: string): string => {
  if (isAbsolute(name)) return name;
  if (name.includes('/')) return resolve(name);
  for (const directory of searchPath().split(delimiter)) {
    const path = join(directory === '' ? '.' : directory, name);
    if (isExecutable(path)) return resolve(path);
  }
  throw new RuntimeFailure(`exec: ${JSON.stringify(name)}: executable file not found in $PATH`);
};

const statusText = (exit: ProcessExit): string =>
  'code' in exit ? `exit status ${exit.code}` : `signal: ${signalName(exit.signal)}`;

const signalName = (signal: number): string =>
  Object.entries(constants.signals).find(([, number]) => number === signal)?.[0] ?? String(signal);

/** What ends the wait early: the deadline or the caller. Resolves with the error to throw. */
const cutting = (options: RunOptions): { happened: Promise<Error>; release: () => void } => {
  const { promise, resolve: cut } = Promise.withResolvers<Error>();
  const { deadlineMs, signal, what } = options;
  const onAbort = (): void => cut(canceled(what, { cause: signal?.reason }));
  signal?.addEventListener('abort', onAbort, { once: true });
  const timer =
    deadlineMs === undefined
      ? undefined
      : setTimeout(() => cut(deadlineExceeded(`${what} took longer than ${deadlineMs} ms`)), deadlineMs);
  return {
    happened: promise,
    release: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    },
  };
};

/** Writes input as fast as it is read; a program that ends without reading it says why by its status. */
const feed = (fd: number, input: Buffer): void => {
  let rest = input;
  const poller = new Poller(fd, { writable: true }, () => {
    try {
      rest = rest.subarray(writeNow(fd, rest) ?? 0);
    } catch {
      rest = Buffer.alloc(0);
    }
    if (rest.length > 0) return;
    poller.close();
    closeSync(fd);
  });
};

interface Collected {
  readonly text: () => string;
  /** Resolves at the end of the output. */
  readonly closed: Promise<void>;
  close(): void;
}

/** Reads a pipe to its end, or until it is closed. */
const collect = (fd: number | undefined): Collected => {
  if (fd === undefined) return { text: () => '', closed: Promise.resolve(), close: () => undefined };
  const { promise: closed, resolve: end } = Promise.withResolvers<void>();
  const chunks: Buffer[] = [];
  let length = 0;
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    poller.close();
    closeSync(fd);
    end();
  };
  const poller = new Poller(fd, { readable: true }, () => {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    const read = readNow(fd, buffer);
    if (read === 0) return close();
    if (read === undefined || length > OUTPUT_BYTES_MAX) return;
    chunks.push(buffer.subarray(0, read));
    length += read;
  });
  return { text: () => Buffer.concat(chunks).toString('utf8'), closed, close };
};

const sleep = async (ms: number): Promise<void> => {
  const { promise, resolve: wake } = Promise.withResolvers<void>();
  setTimeout(wake, ms).unref();
  return promise;
};

const searchPath = (): string => process.env['PATH'] || DEFAULT_PATH;

const runtimeEnvironment = (): Record<string, string> => {
  const environment: Record<string, string> = { PATH: searchPath() };
  for (const key of RUNTIME_ENVIRONMENT_KEYS) {
    const value = process.env[key];
    if (value !== undefined && value !== '') environment[key] = value;
  }
  return environment;
};

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, modes.X_OK);
    return true;
  } catch {
    return false;
  }
};
