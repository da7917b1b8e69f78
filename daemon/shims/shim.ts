import type { Logger } from 'pino';
import { canceled, codeOf, codes, deadlineExceeded, messageOf, unavailable } from '../../common/errdefs.ts';
import { NotReached } from './connections.ts';
import type { ShimRow } from '../store/tables/shims.ts';
import { type ProcessIdentity, ProcessWatch, startTimeOf } from './processes.ts';
import { type CallLimits, TaskClient, type TaskMethod, type TaskRequest, type TaskResponse } from './task-client.ts';

/** Calls that may be made again when nobody knows whether the first was heard. */
const repeatable: ReadonlySet<TaskMethod> = new Set([
  'state',
  'delete', // a shim remembers what it answered
  'kill', // a signal that is sent twice arrives once, or twice, as between any two processes
  'update',
  'pids',
  'stats',
  'wait',
  'resizePty',
  'closeIO',
] as const);

/** How long the end of a shim's process may lag behind that of its sockets, ms. */
const LOSS_NOTICE_MS = 1_000;

export interface ShimOptions {
  readonly connectMs: number;
  readonly log: Logger;
  /** The process has ended though nobody asked it to. */
  readonly onLost: (shim: Shim) => void;
}

/**
 * A shim that serves tasks: where it is, whether it lives, and calls to it. It is connected to only when there is a
 * call; that it lives is known from its process.
 */
export class Shim {
  readonly #options: ShimOptions;
  #row: ShimRow;
  #client: TaskClient | undefined;
  #watch: ProcessWatch | undefined;
  /** Calls wait for it; rejected: the shim has been given up on. */
  #ready: PromiseWithResolvers<void> = settled();
  #dismissed = false;
  readonly #ended = Promise.withResolvers<void>();

  constructor(row: ShimRow, options: ShimOptions) {
    this.#row = row;
    this.#options = options;
  }

  get row(): ShimRow {
    return this.#row;
  }

  get key(): string {
    return this.#row.key;
  }

  /** Our own kind: it has a ledger, numbers its events and can be adopted. */
  get own(): boolean {
    return this.#row.binary === '';
  }

  /** It was told to end, and serves nobody new. */
  get dismissed(): boolean {
    return this.#dismissed;
  }

  /** Resolves when its process has ended after a dismissal, or it was given up on. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** For the state dump. */
  get describe(): string {
    return this.#dismissed ? 'dismissed' : this.#watch === undefined ? 'not watched' : 'live';
  }

  /**
   * It serves, at this address, as this process: from now on calls go there, and its end is noticed. NotFound if the
   * process is gone already.
   */
  serves(at: { readonly address: string; readonly version: number } & ProcessIdentity): void {
    this.#watch?.[Symbol.dispose]();
    this.#client?.close();
    this.#row = { ...this.#row, address: at.address, version: at.version, pid: at.pid, startTime: at.startTime };
    const { address, namespace, version } = this.#row;
    this.#client = new TaskClient({ address, namespace, version, connectMs: this.#options.connectMs });
    this.#watch = at.pid === 0 ? undefined : new ProcessWatch(at, () => this.#onEnd());
    this.#ready.resolve();
  }

  /** From now until `serves` or `giveUp`, calls wait: somebody sees to it that the shim comes to life (again). */
  hold(): void {
    this.#ready = Promise.withResolvers();
    this.#ready.promise.catch(() => undefined);
  }

  /** Calls, those that wait too, fail with `reason`. */
  giveUp(reason: Error): void {
    this.#ready.reject(reason);
    this.#ready = rejected(reason);
    this.#watch?.[Symbol.dispose]();
    this.#client?.close();
    this.#ended.resolve();
  }

  async call<M extends TaskMethod>(
    method: M,
    request: TaskRequest<M>,
    limits: CallLimits = {},
  ): Promise<TaskResponse<M>> {
    try {
      return await this.#call(method, request, limits);
    } catch (error) {
      const harmless = error instanceof NotReached || repeatable.has(method);
      if (!this.own || !harmless || codeOf(error) !== codes.unavailable || !(await this.#lostUnder())) throw error;
      return this.#call(method, request, limits);
    }
  }

  /** Whether a call failed because the process was about to end: its sockets close a little sooner than it is gone. */
  async #lostUnder(): Promise<boolean> {
    const { pid } = this.#row;
    for (let waited = 0; waited < LOSS_NOTICE_MS && this.#watch !== undefined && this.#row.pid === pid; waited += 5) {
      this.#watch.check();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return !this.#dismissed && (this.#watch === undefined || this.#row.pid !== pid);
  }

  async #call<M extends TaskMethod>(method: M, request: TaskRequest<M>, limits: CallLimits): Promise<TaskResponse<M>> {
    this.#watch?.check();
    await within(this.#ready.promise, limits);
    if (this.#client === undefined) throw unavailable(`shim of ${this.#row.id} does not serve`);
    return this.#client.call(method, request, limits);
  }

  /** It is expected to end: that is no loss. */
  dismiss(): void {
    this.#dismissed = true;
    if (this.#watch === undefined) this.#ended.resolve();
  }

  /** Ends the process at once. */
  kill(): void {
    try {
      this.#watch?.send(9);
    } catch (error) {
      this.#options.log.debug({ shim: this.key, err: messageOf(error) }, 'shim is gone already');
    }
  }

  /** Lets go of a shim, which lives on. */
  close(): void {
    this.#watch?.[Symbol.dispose]();
    this.#client?.close();
  }

  #onEnd(): void {
    this.#watch = undefined;
    this.#client?.close();
    if (this.#dismissed) return this.#ended.resolve();
    this.hold();
    this.#options.onLost(this);
  }
}

/** The identity of a process that is alive now; start time 0n if it is not. */
export const identify = (pid: number): ProcessIdentity => ({ pid, startTime: startTimeOf(pid) });

const settled = (): PromiseWithResolvers<void> => {
  const ready = Promise.withResolvers<void>();
  ready.resolve();
  return ready;
};

const rejected = (reason: Error): PromiseWithResolvers<void> => {
  const ready = Promise.withResolvers<void>();
  ready.promise.catch(() => undefined);
  ready.reject(reason);
  return ready;
};

/** Waits for `promise`, but no longer than a call may take. */
const within = async (promise: Promise<void>, { signal, timeoutMs }: CallLimits): Promise<void> => {
  const { promise: cut, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(canceled('waiting for a shim', { cause: signal?.reason }));
  const timer =
    timeoutMs === undefined ? undefined : setTimeout(() => reject(deadlineExceeded('waiting for a shim')), timeoutMs);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal?.aborted === true) onAbort();
    await Promise.race([promise, cut]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
};
