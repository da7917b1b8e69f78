import { closeSync } from 'node:fs';
import { pidfdOpen, pidfdSend, Poller, type ProcessExit, reap, spawnProcess } from '../native/index.ts';

/** A program that we have started ourselves; whoever started it is told of its end, and nobody else reaps it. */
export class Child {
  readonly pid: number;
  readonly ended: Promise<ProcessExit>;
  readonly #pidfd: number;
  readonly #poller: Poller;
  readonly #end: (exit: ProcessExit) => void;
  #exit: ProcessExit | undefined;

  private constructor(pid: number) {
    const { promise, resolve } = Promise.withResolvers<ProcessExit>();
    this.pid = pid;
    this.ended = promise;
    this.#end = resolve;
    this.#pidfd = pidfdOpen(pid);
    this.#poller = new Poller(this.#pidfd, { readable: true }, () => this.check());
    children.set(pid, this);
  }

  /** Source: native's spawnProcess. */
  static start(...program: Parameters<typeof spawnProcess>): Child {
    return new Child(spawnProcess(...program));
  }

  /** Looks whether it has ended, before the loop comes to tell. */
  check(): void {
    if (this.#exit !== undefined) return;
    this.#exit = reap({ pid: this.pid })?.exit;
    if (this.#exit === undefined) return;
    children.delete(this.pid);
    this.#poller.close();
    closeSync(this.#pidfd);
    this.#end(this.#exit);
  }

  /** Ends it and all that has stayed in its session's first process group. */
  kill(): void {
    if (this.#exit !== undefined) return;
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      pidfdSend(this.#pidfd, SIGKILL); // it had not made its session yet
    }
  }
}

const SIGKILL = 9;

/** By process id: those that run, or have not been reaped. */
export const children: Map<number, Child> = new Map();
