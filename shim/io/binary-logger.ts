import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { canceled, invalidArgument } from '../../common/errdefs.ts';
import { pidfdOpen, pidfdSend, pipe, Poller } from '../../native/index.ts';
import { type ProcessIdentity, startTimeOf } from '../proc.ts';
import type { LoggerPlace } from './uri.ts';

/** How long a logger may take to write out what it has once it is told to end, ms. Source: containerd's shim. */
const TERMINATE_MS = 12_000;
const SIGTERM = 15;
const SIGKILL = 9;

/** A logger as the ledger keeps it. */
export interface LoggerDocument {
  readonly pid: number;
  /** Decimal. */
  readonly startTime: string;
}

export interface StartedLogger {
  readonly logger: BinaryLogger;
  /** Writing ends of the logger's pipes, blocking; the caller's to close. */
  readonly stdout: number;
  readonly stderr: number;
}

/**
 * A program that reads a process's output: descriptor 3 is its stdout, 4 its stderr, and closing 5 says that it is
 * ready. It is told whose output that is by CONTAINER_ID and CONTAINER_NAMESPACE, and knows nothing else of ours.
 * Source: containerd's shim logging.
 */
export class BinaryLogger {
  readonly #identity: ProcessIdentity;
  readonly #ended = Promise.withResolvers<void>();
  #pidfd: number | undefined;
  #poller: Poller | undefined;

  private constructor(identity: ProcessIdentity, pidfd: number) {
    this.#identity = identity;
    this.#pidfd = pidfd;
    // The logger's end interests only those who wait for it.
    this.#poller = new Poller(pidfd, { readable: true }, () => this.#end());
    this.#poller.unref();
  }

  /** Resolves when the logger is ready, or has closed descriptor 5 by ending; Canceled ends one that hangs. */
  static async start(
    place: LoggerPlace,
    container: { readonly id: string; readonly namespace: string },
    signal: AbortSignal,
  ): Promise<StartedLogger> {
    await using undo = new AsyncDisposableStack();
    const [stdout, stderr, ready] = [pipe(), pipe(), pipe()];
    const theirs = [stdout.read, stderr.read, ready.write];
    undo.defer(() => [stdout.write, stderr.write].forEach((fd) => closeSync(fd)));
    using _ready = disposing(ready.read);
    let logger: BinaryLogger;
    try {
      logger = await BinaryLogger.#spawn(place, container, theirs);
    } finally {
      for (const fd of theirs) closeSync(fd);
    }
    undo.defer(() => logger.#kill());
    await closed(ready.read, place.program, signal);
    undo.move();
    return { logger, stdout: stdout.write, stderr: stderr.write };
  }

  /** The logger of an earlier life of the shim; undefined if it has ended. */
  static resume({ pid, startTime }: LoggerDocument): BinaryLogger | undefined {
    let pidfd: number;
    try {
      pidfd = pidfdOpen(pid);
    } catch {
      return undefined;
    }
    // Asked after the open: if the pid went to another in between, the times differ.
    if (String(startTimeOf(pid)) === startTime) return new BinaryLogger({ pid, startTime: BigInt(startTime) }, pidfd);
    closeSync(pidfd);
    return undefined;
  }

  get document(): LoggerDocument {
    return { pid: this.#identity.pid, startTime: String(this.#identity.startTime) };
  }

  /** Resolves when the logger has ended, as it does at the end of its input. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** Has the logger end, which may take it some time; resolves when it has. */
  async close(): Promise<void> {
    if (this.#pidfd === undefined) return;
    this.#poller?.ref();
    this.#send(SIGTERM);
    const timer = setTimeout(() => this.#send(SIGKILL), TERMINATE_MS);
    await this.#ended.promise;
    clearTimeout(timer);
  }

  static async #spawn(
    { program, args }: LoggerPlace,
    { id, namespace }: { readonly id: string; readonly namespace: string },
    fds: readonly number[],
  ): Promise<BinaryLogger> {
    const env = { CONTAINER_ID: id, CONTAINER_NAMESPACE: namespace };
    const stdio = ['ignore', 'ignore', 'ignore', ...fds] as const;
    const child = spawn(program, args, { stdio: [...stdio], env, cwd: '/', detached: true });
    const { promise: failed, reject } = Promise.withResolvers<never>();
    child.once('error', (error) => {
      reject(
        invalidArgument(`failed to start binary process ${JSON.stringify(program)}: ${error.message}`, {
          cause: error,
        }),
      );
    });
    if (child.pid === undefined) return failed;
    failed.catch(() => undefined);
    child.unref();
    // It cannot have been reaped yet, so this is the child and no other.
    const pidfd = pidfdOpen(child.pid);
    return new BinaryLogger({ pid: child.pid, startTime: startTimeOf(child.pid) ?? 0n }, pidfd);
  }

  #kill(): Promise<void> {
    this.#send(SIGKILL);
    return this.#ended.promise;
  }

  #send(signal: number): void {
    try {
      if (this.#pidfd !== undefined) pidfdSend(this.#pidfd, signal);
    } catch {
      this.#end(); // it is gone
    }
  }

  #end(): void {
    this.#poller?.close();
    if (this.#pidfd !== undefined) closeSync(this.#pidfd);
    this.#poller = undefined;
    this.#pidfd = undefined;
    this.#ended.resolve();
  }
}

/** Resolves when there is a byte to read from a pipe, or nobody has its other end any more. */
const closed = async (fd: number, program: string, signal: AbortSignal): Promise<void> => {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void =>
    reject(canceled(`waiting for ${JSON.stringify(program)} to be ready`, { cause: signal.reason }));
  using _poller = new Poller(fd, { readable: true }, () => resolve());
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal.aborted) onAbort();
    await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
};

const disposing = (fd: number): Disposable => ({ [Symbol.dispose]: () => closeSync(fd) });
