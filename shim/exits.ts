import type { ChildProcess } from 'node:child_process';
import diagnostics from 'node:diagnostics_channel';
import { closeSync } from 'node:fs';
import { isNotFound, notFound } from '../common/errdefs.ts';
import { pidfdInfo, pidfdOpen, pidfdSend, Poller, type ProcessExit, reap, setSubreaper } from '../native/index.ts';
import { children } from './children.ts';
import { type ProcessIdentity, startTimeOf, zombieExit } from './proc.ts';

/** How often, and how many ms apart, the kernel is asked for the status of a process that its parent has yet to reap. */
const STATUS_TRIES = 50;
const STATUS_RETRY_MS = 20;

const SIGKILL = 9;

/** A process that somebody waits for. */
export interface ProcessWatch {
  readonly identity: ProcessIdentity;
  /** Signals exactly this process; NotFound once it has been reaped. */
  send(signal: number): void;
  /** Stops watching; the process goes on. */
  close(): void;
}

/** Told once. undefined: the process has ended and its status cannot be known. The process is reaped afterwards. */
export type OnExit = (exit: ProcessExit | undefined) => void;

/**
 * Every process that comes down to us: the containers' own, watched by pidfd, and orphans of hooks and of shared pid
 * namespaces, which nobody knows. Runtimes are reaped by who runs them (children.ts), loggers by libuv.
 */
export class Reaper implements Disposable {
  readonly #watches = new Map<number, Watch>();
  readonly #libuvChildren = new Set<ChildProcess>();
  #expecting = 0;
  readonly #onChild = (): void => void setImmediate(() => this.#sweep());

  constructor() {
    setSubreaper(true);
    diagnostics.subscribe('child_process', this.#onSpawn);
    process.on('SIGCHLD', this.#onChild);
  }

  /**
   * While this is held, a process that we do not know is left a zombie: it may be the one that a call of the runtime is
   * about to report, and its pid must not go to another before.
   */
  expect(): Disposable {
    this.#expecting += 1;
    return {
      [Symbol.dispose]: () => {
        this.#expecting -= 1;
        this.#onChild();
      },
    };
  }

  /** Watches a process: a child, a zombie too, or one that an earlier life of the shim started. NotFound if it is gone. */
  watch(identity: ProcessIdentity, onExit: OnExit): ProcessWatch {
    const pidfd = pidfdOpen(identity.pid);
    // Asked after the open: if the pid went to another in between, the times differ.
    if (startTimeOf(identity.pid) !== identity.startTime) {
      closeSync(pidfd);
      throw notFound(`process ${identity.pid}`);
    }
    const watch = new Watch(identity, pidfd, onExit, () => this.#watches.delete(identity.pid));
    this.#watches.set(identity.pid, watch);
    return watch;
  }

  /** Kills a process that must not stay, and waits until it has ended. */
  async destroy(identity: ProcessIdentity): Promise<void> {
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    try {
      this.watch(identity, () => resolve()).send(SIGKILL);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      return;
    }
    await ended;
  }

  [Symbol.dispose](): void {
    setSubreaper(false);
    diagnostics.unsubscribe('child_process', this.#onSpawn);
    process.off('SIGCHLD', this.#onChild);
    for (const watch of this.#watches.values()) watch.close();
  }

  readonly #onSpawn = (message: unknown): void => {
    const { process: child } = message as { process: ChildProcess }; // the channel's documented message
    this.#libuvChildren.add(child);
    const forget = (): void => {
      this.#libuvChildren.delete(child);
      this.#onChild();
    };
    child.once('exit', forget);
    child.once('error', forget);
  };

  /** Reaps what nobody waits for. The kernel shows one zombie at a time, and the same one until it is reaped. */
  #sweep(): void {
    for (let found = reap('any', { peek: true }); found !== undefined; found = reap('any', { peek: true })) {
      const { pid } = found;
      const watch = this.#watches.get(pid);
      const child = children.get(pid);
      if (watch !== undefined) watch.check();
      else if (child !== undefined) child.check();
      else if ([...this.#libuvChildren].some((child) => child.pid === pid)) return; // its exit calls us again
      else if (this.#expecting > 0) return; // the end of the expectation calls us again
      else reap({ pid });
    }
  }
}

class Watch implements ProcessWatch {
  readonly identity: ProcessIdentity;
  readonly #pidfd: number;
  readonly #poller: Poller;
  readonly #onExit: OnExit;
  readonly #forget: () => void;
  #open = true;

  constructor(identity: ProcessIdentity, pidfd: number, onExit: OnExit, forget: () => void) {
    this.identity = identity;
    this.#pidfd = pidfd;
    this.#onExit = onExit;
    this.#forget = forget;
    this.#poller = new Poller(pidfd, { readable: true }, () => this.check());
  }

  send(signal: number): void {
    if (!this.#open) throw notFound('process already finished');
    pidfdSend(this.#pidfd, signal);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#forget();
    this.#poller.close();
    closeSync(this.#pidfd);
  }

  /** Looks whether the process has ended. */
  check(): void {
    if (!this.#open) return;
    const { pid } = this.identity;
    const child = reap({ pid }, { peek: true });
    if (child === undefined) return this.#checkForeign(0);
    this.#end(child.exit);
    // Reaped only now that the exit has been written down: a shim that dies before leaves a zombie, not a riddle.
    reap({ pid });
  }

  /**
   * A process that is not our child: its zombie tells how it ended until its parent reaps it, and a kernel from 6.15 on
   * tells that afterwards too.
   */
  #checkForeign(tries: number): void {
    this.#poller.close(); // it would report the same end over and over
    if (!this.#open) return;
    const exit = zombieExit(this.identity) ?? pidfdInfo(this.#pidfd)?.exit;
    if (exit !== undefined || tries >= STATUS_TRIES) return this.#end(exit);
    setTimeout(() => this.#checkForeign(tries + 1), STATUS_RETRY_MS);
  }

  #end(exit: ProcessExit | undefined): void {
    this.close();
    this.#onExit(exit);
  }
}
