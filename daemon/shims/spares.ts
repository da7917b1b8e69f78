import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import type { Logger } from 'pino';
import type { BindReply, BindRequest } from '../../common/bootstrap.ts';
import { type Code, CodedError, deadlineExceeded, messageOf, unavailable } from '../../common/errdefs.ts';
import { socketPair } from '../../native/index.ts';
import type { ShimProgram } from './program.ts';

/** How long a shim may take from its spawn, or as a spare from its call, until it serves, ms. */
const BIND_DEADLINE_MS = 15_000;
/** The same of a spare, which is up already: after it a fresh shim is started. */
const SPARE_DEADLINE_MS = 3_000;
/**
 * Quiet after the last lifecycle verb before spares are made, ms: their start must not compete with what a client waits
 * for. Longer than the gaps between the verbs of one `ctr run`: a spare that is forked in between costs it 5–20 ms.
 */
const REFILL_QUIET_MS = 40;
/** The same after a delete: the next verb belongs to the next container, which will want the spare. */
export const REFILL_DELETED_MS = 1;
/** Nice value of a spare while it starts. */
const SPARE_NICE = 15;
/** What is kept of a shim's last words, characters. */
const STDERR_CHARACTERS_MAX = 4_096;

export interface SparesOptions {
  readonly program: ShimProgram;
  /** How many are kept ready. */
  readonly count: number;
  readonly log: Logger;
}

export interface Bound {
  /** `unix:///…` */
  readonly address: string;
  readonly pid: number;
}

/**
 * Shims that were started before somebody needed them: a start of Node takes longer than all else of a container's.
 * Each waits on a socket of ours for whom to serve, and ends by itself when we do.
 */
export class Spares {
  readonly #options: SparesOptions;
  readonly #ready: Unbound[] = [];
  #busy = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: SparesOptions) {
    this.#options = options;
    this.#refillLater();
  }

  /** Held while a client waits for a container: no spare is made meanwhile, a burst has better uses for the machine. */
  hold(quietMs = REFILL_QUIET_MS): Disposable {
    this.#busy += 1;
    clearTimeout(this.#timer);
    return {
      [Symbol.dispose]: () => {
        this.#busy -= 1;
        this.#refillLater(quietMs);
      },
    };
  }

  /** Makes a shim serve: a spare, or a fresh one if there is none. Rejects with what the shim said, or Unavailable. */
  async bind(request: BindRequest): Promise<Bound> {
    for (let spare = this.#ready.pop(); spare !== undefined; spare = this.#ready.pop()) {
      if (!spare.alive) continue;
      try {
        return await spare.bind(request, SPARE_DEADLINE_MS);
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        this.#options.log.warn({ err: error.message }, 'a spare shim was of no use');
      }
    }
    return new Unbound(this.#options.program).bind(request, BIND_DEADLINE_MS);
  }

  /** Spares that nobody will need see the end of their socket and go. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const spare of this.#ready) spare.dismiss();
    this.#ready.length = 0;
  }

  #refillLater(quietMs = REFILL_QUIET_MS): void {
    if (this.#closed || this.#busy > 0 || this.#ready.length >= this.#options.count) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#refill(), quietMs).unref();
  }

  #refill(): void {
    if (this.#closed || this.#busy > 0 || this.#ready.length >= this.#options.count) return;
    try {
      const spare = new Unbound(this.#options.program);
      spare.slow();
      this.#ready.push(spare);
    } catch (error) {
      this.#options.log.warn({ err: messageOf(error) }, 'no spare shim could be started');
      return;
    }
    this.#refillLater();
  }
}

/** A shim has said nothing: another may be asked. */
class NoAnswer extends CodedError {
  constructor({ code, message }: CodedError) {
    super(code, message);
  }
}

/** A shim process without an identity. */
class Unbound {
  readonly #child: ChildProcess;
  readonly #socket: net.Socket;
  #stderr = '';
  #slow = false;

  constructor({ command, args, env }: ShimProgram) {
    const [ours, theirs] = socketPair('stream');
    try {
      // A session of its own and no directory of ours: it outlives us.
      this.#child = spawn(command, [...args, 'spare'], {
        cwd: '/',
        detached: true,
        env,
        stdio: ['ignore', 'ignore', 'pipe', theirs],
      });
    } catch (error) {
      closeSync(ours);
      throw error;
    } finally {
      closeSync(theirs);
    }
    this.#socket = new net.Socket({ fd: ours, readable: true, writable: true });
    this.#socket.on('error', () => undefined); // its end says enough
    this.#socket.unref();
    this.#child.on('error', () => this.#socket.destroy());
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARACTERS_MAX);
    });
    this.#child.stderr?.on('error', () => undefined);
    this.#child.unref();
  }

  get alive(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Lets it start behind everything else. */
  slow(): void {
    this.#slow = this.#prioritize(SPARE_NICE);
  }

  dismiss(): void {
    this.#socket.destroy();
    this.#child.stderr?.destroy();
  }

  async bind(request: BindRequest, deadlineMs: number): Promise<Bound> {
    // What it starts inherits its priority, so it must have ours before it hears of a container.
    if (this.#slow) this.#prioritize(os.getPriority());
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    let text = '';
    const cut = (error: Error): void => {
      this.#child.kill('SIGKILL'); // or it would serve without anybody knowing
      reject(error);
    };
    const timer = setTimeout(() => cut(new NoAnswer(deadlineExceeded('binding a shim'))), deadlineMs);
    this.#socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.includes('\n')) resolve(text);
    });
    const onClose = (): void => cut(new NoAnswer(unavailable(`shim ended before it served: ${this.#stderr.trim()}`)));
    this.#socket.on('close', onClose);
    try {
      this.#socket.write(`${JSON.stringify(request)}\n`);
      const reply: BindReply = JSON.parse(await promise);
      if ('error' in reply) throw new CodedError(reply.code as Code, reply.error);
      return reply;
    } finally {
      clearTimeout(timer);
      this.#socket.off('close', onClose);
      this.dismiss();
    }
  }

  #prioritize(nice: number): boolean {
    try {
      if (this.#child.pid !== undefined) os.setPriority(this.#child.pid, nice);
      return true;
    } catch {
      return false; // it is gone, or we may not: it starts at our own priority
    }
  }
}
