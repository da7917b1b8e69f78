import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { exitStatus } from './exec.ts';
import { systemEnv } from './repository.ts';
import { eventually, within } from './wait.ts';

export interface ServerOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Where its stdout and stderr are appended to, over all its starts. */
  readonly logFile: string;
  /** Resolves when the server answers, fails as long as it does not. */
  readonly ready: () => Promise<unknown>;
}

/** How long a server may take until it answers, or until it has ended, milliseconds. */
const START_MS = 30_000;
const STOP_MS = 30_000;

/** A server process that a test starts, kills and starts again; its log is kept. */
export class Server {
  readonly name: string;
  readonly #options: ServerOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<number> | undefined;

  constructor(options: ServerOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`${this.name} is not running`);
    return pid;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /** Starts it and waits until it answers. */
  async start(): Promise<void> {
    this.spawn();
    await this.ready();
  }

  /** Starts it and does not wait; `ready` does. */
  spawn(): void {
    if (this.#child !== undefined) throw new Error(`${this.name} runs already`);
    const { command, args, env, logFile } = this.#options;
    const log = openSync(logFile, 'a');
    writeSync(log, `--- ${[command, ...args].join(' ')}\n`);
    const child = spawn(command, args, { stdio: ['ignore', log, log], env: systemEnv(env) });
    closeSync(log);
    const { promise, resolve } = Promise.withResolvers<number>();
    child.once('error', () => resolve(127));
    child.once('exit', (code, signal) => resolve(exitStatus(code, signal)));
    this.#child = child;
    this.#ended = promise.then((status) => {
      this.#child = undefined;
      return status;
    });
  }

  /** Waits until it answers; fails with its log when it ends instead, or does not answer in time. */
  async ready(): Promise<void> {
    const { ready } = this.#options;
    try {
      await eventually(
        async () => {
          if (this.#child === undefined) return 'ended';
          await ready();
          return 'ready';
        },
        { ms: START_MS, what: `${this.name} to answer` },
      ).then((how) => {
        if (how === 'ended') throw new Error(`${this.name} ended at its start`);
      });
    } catch (cause) {
      throw new Error(`${this.name} does not serve; the end of its log:\n${this.log(4_000)}`, { cause });
    }
  }

  /** SIGTERM, and its exit status. 0 if it does not run. */
  stop(): Promise<number> {
    return this.signal('SIGTERM');
  }

  /** As a crash: SIGKILL, and gone when this resolves. */
  async kill9(): Promise<void> {
    await this.signal('SIGKILL');
  }

  /** Crash and start. */
  async restart(): Promise<void> {
    await this.kill9();
    await this.start();
  }

  /** Sends a signal that ends it and waits for the end; a server that does not end is killed, and that is an error. */
  async signal(name: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<number> {
    const ended = this.#ended;
    if (this.#child === undefined || ended === undefined) return 0;
    this.#child.kill(name);
    try {
      return await within(STOP_MS, `${this.name}: its end after ${name}`, ended);
    } catch (error) {
      this.#child?.kill('SIGKILL');
      await ended;
      throw error;
    }
  }

  /** The last characters of what it has written, over all its starts. */
  log(characters = Number.POSITIVE_INFINITY): string {
    try {
      return readFileSync(this.#options.logFile, 'utf8').slice(-characters);
    } catch {
      return '';
    }
  }
}
