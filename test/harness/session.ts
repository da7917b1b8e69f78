import { spawn, type ChildProcess } from 'node:child_process';
import { exitStatus, type Result } from './exec.ts';
import { systemEnv } from './repository.ts';
import { eventually, within } from './wait.ts';

export interface SessionOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** stdin: a pipe to write into (default), or /dev/null. */
  readonly stdin?: 'pipe' | 'ignore';
}

/** A command that runs beside the test: write into it, wait for what it prints, signal it, wait for its end. */
export class Session {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #began = performance.now();
  readonly #ended: Promise<Result>;
  #out = '';
  #err = '';

  constructor([command, ...args]: readonly [string, ...string[]], options: SessionOptions = {}) {
    this.#name = [command, ...args].join(' ');
    const { stdin = 'pipe', env, cwd } = options;
    this.#child = spawn(command, args, { stdio: [stdin, 'pipe', 'pipe'], env: systemEnv(env), cwd });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#out += text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#err += text));
    this.#child.stdin?.on('error', () => undefined); // it may end without reading
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    this.#child.once('error', reject);
    this.#child.once('close', (code, signal) =>
      resolve({
        status: exitStatus(code, signal),
        stdout: this.#out,
        stderr: this.#err,
        ms: performance.now() - this.#began,
      }),
    );
    promise.catch(() => undefined); // `end` tells
    this.#ended = promise;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get stdout(): string {
    return this.#out;
  }

  get stderr(): string {
    return this.#err;
  }

  write(text: string | Buffer): void {
    this.#child.stdin?.write(text);
  }

  closeStdin(): void {
    this.#child.stdin?.end();
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Nobody reads its output until `resume`. */
  pause(): void {
    this.#child.stdout?.pause();
  }

  resume(): void {
    this.#child.stdout?.resume();
  }

  /** Waits until its stdout holds `expected`. */
  async says(expected: string | RegExp, ms = 20_000): Promise<void> {
    const found = (): boolean =>
      typeof expected === 'string' ? this.#out.includes(expected) : expected.test(this.#out);
    try {
      await eventually(found, { ms, what: `${this.#name} to print ${expected}` });
    } catch (cause) {
      throw new Error(`it printed ${JSON.stringify(this.#out)} and ${JSON.stringify(this.#err)}`, { cause });
    }
  }

  /** Waits for its end; kills it, and fails, when that takes too long. */
  async end(ms = 30_000): Promise<Result> {
    try {
      return await within(ms, this.#name, this.#ended);
    } catch (cause) {
      this.#child.kill('SIGKILL');
      throw new Error(`it printed ${JSON.stringify(this.#out)} and ${JSON.stringify(this.#err)}`, { cause });
    }
  }
}
