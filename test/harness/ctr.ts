import { exec, type ExecOptions, type Result } from './exec.ts';
import { Session, type SessionOptions } from './session.ts';
import { Terminal } from './terminal.ts';

/** What ctr must know of the daemon that it talks to. */
export interface Target {
  readonly address: string;
  readonly namespace: string;
  readonly fifos: string;
}

/** Subcommands that make FIFOs. */
const WITH_FIFOS: ReadonlySet<string> = new Set(['run', 'tasks start', 't start', 'tasks exec', 't exec']);

/** containerd's ctr, unmodified, on one daemon and in one namespace. */
export class Ctr {
  readonly #target: Target;

  constructor(target: Target) {
    this.#target = target;
  }

  /** The same daemon, another namespace. */
  in(namespace: string): Ctr {
    return new Ctr({ ...this.#target, namespace });
  }

  /** The command line for a subcommand, ctr itself first. */
  command(...args: readonly string[]): [string, ...string[]] {
    return ['ctr', '--address', this.#target.address, '--namespace', this.#target.namespace, ...this.#placed(args)];
  }

  /** Runs it to its end, whatever that is. */
  run(args: readonly string[], options: ExecOptions = {}): Promise<Result> {
    const [ctr, ...rest] = this.command(...args);
    return exec(ctr, rest, options);
  }

  /** Runs it to its end, which must be 0; gives its stdout. */
  async ok(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run(args);
    if (status !== 0) throw new Error(`ctr ${args.join(' ')}: status ${status}: ${stderr}${stdout}`);
    return stdout;
  }

  /** Runs it beside the test, with pipes. */
  attach(args: readonly string[], options: SessionOptions = {}): Session {
    return new Session(this.command(...args), options);
  }

  /** Runs it beside the test, in a terminal. */
  terminal(args: readonly string[], size?: { readonly columns: number; readonly rows: number }): Terminal {
    return new Terminal(this.command(...args), size);
  }

  /** Removes every task and container of the namespace, whatever they are doing. */
  async removeAll(): Promise<void> {
    const ids = words(await this.ok('containers', 'ls', '-q'));
    if (ids.length === 0) return;
    const tasks = words(await this.ok('tasks', 'ls', '-q'));
    for (const id of tasks) await this.run(['tasks', 'resume', id]); // a frozen process cannot be killed on cgroup v1
    // A client that is still there with --rm may be faster.
    await Promise.all(tasks.map((id) => this.#remove('tasks', 'rm', '-f', id)));
    await Promise.all(ids.map((id) => this.#remove('containers', 'rm', id)));
  }

  async #remove(...args: readonly string[]): Promise<void> {
    const { status, stderr } = await this.run(args);
    if (status !== 0 && !stderr.includes('not found'))
      throw new Error(`ctr ${args.join(' ')}: status ${status}: ${stderr}`);
  }

  /** FIFOs belong in the test's own directory; `ctr run` would take /run/containerd. */
  #placed(args: readonly string[]): readonly string[] {
    const words = WITH_FIFOS.has(args[0] ?? '') ? 1 : WITH_FIFOS.has(args.slice(0, 2).join(' ')) ? 2 : 0;
    if (words === 0 || args.includes('--log-uri')) return args; // ctr takes one of the two
    return [...args.slice(0, words), '--fifo-dir', this.#target.fifos, ...args.slice(words)];
  }
}

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');
