import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { DEFAULT_PATH, RUNTIME_ENVIRONMENT_KEYS } from '../../common/bootstrap.ts';
import { canceled, deadlineExceeded } from '../../common/errdefs.ts';
import { RuntimeFailure } from './errors.ts';

/** Longest output of a runtime that is kept, characters; the rest is dropped. `ps` of 10,000 processes has some 70,000. */
const OUTPUT_CHARACTERS_MAX = 4 << 20;
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
  const stdio = options.stdio ?? ([options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] as const);
  const child = spawn(binary, args, { stdio: [...stdio], detached: true, cwd: '/', env: runtimeEnvironment() });
  const ended = ending(child);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  // EPIPE when it ends without reading: its status says why.
  child.stdin?.on('error', () => undefined).end(options.input);

  const cut = cutting(options);
  try {
    const first = await Promise.race([ended, cut.happened]);
    if (first instanceof Error) {
      killSession(child);
      await Promise.race([ended.catch(() => undefined), sleep(KILL_WAIT_MS)]);
      throw first;
    }
    await Promise.race([Promise.all([stdout.closed, stderr.closed]), sleep(OUTPUT_GRACE_MS)]);
    if (first.code === 0) return stdout.text();
    throw new RuntimeFailure(stderr.text().trim() || `${what} did not terminate successfully: ${statusText(first)}`);
  } finally {
    cut.release();
    child.stdout?.destroy();
    child.stderr?.destroy();
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

interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const ending = (child: ChildProcess): Promise<Ending> => {
  const { promise, resolve: end, reject } = Promise.withResolvers<Ending>();
  child.once('exit', (code, signal) => end({ code, signal }));
  child.once('error', (error) => reject(new RuntimeFailure(error.message, { cause: error })));
  promise.catch(() => undefined); // awaited only until the first of two things has happened
  return promise;
};

const statusText = ({ code, signal }: Ending): string =>
  signal === null ? `exit status ${code}` : `signal: ${signal}`;

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

const killSession = (child: ChildProcess): void => {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    child.kill('SIGKILL'); // it had not made its session yet
  }
};

const collect = (stream: NodeJS.ReadableStream | null): { text: () => string; closed: Promise<void> } => {
  if (stream === null) return { text: () => '', closed: Promise.resolve() };
  let text = '';
  const { promise: closed, resolve: close } = Promise.withResolvers<void>();
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    if (text.length < OUTPUT_CHARACTERS_MAX) text += chunk;
  });
  stream.on('close', () => close());
  stream.on('error', () => close());
  return { text: () => text, closed };
};

const sleep = async (ms: number): Promise<void> => {
  const { promise, resolve: wake } = Promise.withResolvers<void>();
  setTimeout(wake, ms).unref();
  return promise;
};

const searchPath = (): string => process.env['PATH'] || DEFAULT_PATH;

const runtimeEnvironment = (): NodeJS.ProcessEnv => {
  const environment: NodeJS.ProcessEnv = { PATH: searchPath() };
  for (const key of RUNTIME_ENVIRONMENT_KEYS) {
    const value = process.env[key];
    if (value !== undefined && value !== '') environment[key] = value;
  }
  return environment;
};

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};
