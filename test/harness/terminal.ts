import { spawn, type IPty } from 'node-pty';
import { systemEnv } from './repository.ts';
import { eventually, within } from './wait.ts';

/** A command in a terminal of its own. */
export class Terminal {
  readonly #pty: IPty;
  readonly #name: string;
  readonly #ended: Promise<number>;
  #out = '';

  constructor([command, ...args]: readonly [string, ...string[]], { columns = 100, rows = 30 } = {}) {
    this.#name = [command, ...args].join(' ');
    this.#pty = spawn(command, args, { name: 'xterm', cols: columns, rows, env: systemEnv() });
    this.#pty.onData((text) => (this.#out += text));
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#pty.onExit(({ exitCode, signal }) => resolve(signal === undefined || signal === 0 ? exitCode : 128 + signal));
    this.#ended = promise;
  }

  /** All that appeared on the screen. */
  get screen(): string {
    return this.#out;
  }

  write(text: string): void {
    this.#pty.write(text);
  }

  resize(columns: number, rows: number): void {
    this.#pty.resize(columns, rows);
  }

  signal(name: NodeJS.Signals): void {
    this.#pty.kill(name);
  }

  /** Waits until the screen holds `expected`. */
  async shows(expected: string | RegExp, ms = 20_000): Promise<void> {
    const found = (): boolean =>
      typeof expected === 'string' ? this.#out.includes(expected) : expected.test(this.#out);
    try {
      await eventually(found, { ms, what: `${this.#name} to show ${expected}` });
    } catch (cause) {
      throw new Error(`the screen: ${JSON.stringify(this.#out)}`, { cause });
    }
  }

  /** Waits for its end, and gives the exit status. */
  async end(ms = 30_000): Promise<number> {
    try {
      return await within(ms, this.#name, this.#ended);
    } catch (cause) {
      this.#pty.kill('SIGKILL');
      throw new Error(`the screen: ${JSON.stringify(this.#out)}`, { cause });
    }
  }
}
