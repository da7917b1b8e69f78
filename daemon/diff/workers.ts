import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { CodedError, unavailable } from '../../common/errdefs.ts';
import type { ApplyJob, ApplyResult, CompareJob, CompareResult, FromWorker, ToWorker } from './jobs.ts';

/** A worker without work ends after this, milliseconds: it holds some megabytes. */
const IDLE_MS = 10_000;

/** Takes a piece of a layer that is being written. */
export type TakePiece = (piece: Uint8Array) => Promise<void>;

/** Threads for what takes long: one job a thread, further jobs wait. */
export class Workers {
  readonly #max = Math.max(2, availableParallelism());
  readonly #idle: IdleWorker[] = [];
  readonly #waiting: (() => void)[] = [];
  #busy = 0;
  #closed = false;
  readonly #cancels = new Set<Int32Array>();
  readonly #running = new Set<Promise<unknown>>();

  apply(job: ApplyJob, signal: AbortSignal): Promise<ApplyResult> {
    return this.#run(job, refuse, signal) as Promise<ApplyResult>; // that is what such a job gives
  }

  compare(job: CompareJob, take: TakePiece, signal: AbortSignal): Promise<CompareResult> {
    return this.#run(job, take, signal) as Promise<CompareResult>;
  }

  /** Ends the jobs that are under way, and the threads. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const cancel of this.#cancels) Atomics.store(cancel, 0, 1);
    for (const go of this.#waiting.splice(0)) go();
    await Promise.allSettled(this.#running);
    await Promise.all(this.#idle.splice(0).map(({ worker, timer }) => (clearTimeout(timer), worker.terminate())));
  }

  async #run(job: ApplyJob | CompareJob, take: TakePiece, signal: AbortSignal): Promise<unknown> {
    const running = this.#runInTurn(job, take, signal);
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  async #runInTurn(job: ApplyJob | CompareJob, take: TakePiece, signal: AbortSignal): Promise<unknown> {
    while (this.#busy >= this.#max && !this.#closed) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#closed) throw unavailable('the daemon is stopping');
    signal.throwIfAborted();
    this.#busy += 1;
    try {
      return await this.#runNow(job, take, signal);
    } finally {
      this.#busy -= 1;
      this.#waiting.shift()?.();
    }
  }

  async #runNow(job: ApplyJob | CompareJob, take: TakePiece, signal: AbortSignal): Promise<unknown> {
    const worker = this.#take();
    // Not terminate(): a thread that is cut off leaves its descriptors open.
    const cancel = new Int32Array(new SharedArrayBuffer(4));
    const onAbort = (): void => void Atomics.store(cancel, 0, 1);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#cancels.add(cancel);
    try {
      const message = await converse(worker, { job, cancel }, take);
      this.#giveBack(worker);
      if ('result' in message) return message.result;
      throw failureOf(message.error, signal);
    } finally {
      this.#cancels.delete(cancel);
      signal.removeEventListener('abort', onAbort);
    }
  }

  #take(): Worker {
    const idle = this.#idle.pop();
    if (idle === undefined) return startWorker();
    clearTimeout(idle.timer);
    idle.worker.ref();
    return idle.worker;
  }

  #giveBack(worker: Worker): void {
    const timer = setTimeout(() => {
      const index = this.#idle.findIndex((idle) => idle.worker === worker);
      if (index !== -1) this.#idle.splice(index, 1);
      void worker.terminate();
    }, IDLE_MS).unref();
    worker.unref();
    this.#idle.push({ worker, timer });
  }
}

interface IdleWorker {
  readonly worker: Worker;
  readonly timer: NodeJS.Timeout;
}

const startWorker = (): Worker => {
  // In development this file runs as .ts; bundled, the worker lies beside the bundle.
  const entry = import.meta.url.endsWith('.ts') ? './worker.ts' : './diff-worker.mjs';
  // Node would count only the descriptors that it opened itself, and warn when others are closed.
  return new Worker(new URL(entry, import.meta.url), { trackUnmanagedFds: false });
};

type Last = Exclude<FromWorker, { readonly piece: Uint8Array }>;

/** Gives the job's last message; rejects if the thread itself fails, which then is gone. */
const converse = (worker: Worker, request: ToWorker, take: TakePiece): Promise<Last> => {
  const { promise, resolve, reject } = Promise.withResolvers<Last>();
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker has no origins
  const send = (message: ToWorker): void => worker.postMessage(message);
  let failed: unknown;
  let taking: Promise<void> = Promise.resolve();
  const cancel = 'job' in request ? request.cancel : undefined;
  const onMessage = (message: FromWorker): void => {
    if (!('piece' in message)) {
      void taking.then(() => (failed === undefined ? resolve(message) : reject(failed)));
      return;
    }
    // In order, and after a failure no more: the worker only has to come to its end.
    taking = taking.then(async () => {
      try {
        if (failed === undefined) await take(message.piece);
      } catch (error) {
        failed = error;
        if (cancel !== undefined) Atomics.store(cancel, 0, 1);
      }
      send({ taken: true });
    });
  };
  const onError = (error: unknown): void => reject(error);
  const onExit = (code: number): void => reject(new Error(`the layer worker ended with ${code}`));
  worker.on('message', onMessage).on('error', onError).on('exit', onExit);
  send(request);
  return promise.finally(() => worker.off('message', onMessage).off('error', onError).off('exit', onExit));
};

const failureOf = (error: Extract<FromWorker, { readonly error: unknown }>['error'], signal: AbortSignal): Error => {
  if (signal.aborted && signal.reason instanceof CodedError) return signal.reason;
  const failure = new CodedError(error.code, error.message);
  failure.stack = error.stack;
  return failure;
};

const refuse: TakePiece = () => Promise.reject(new Error('no pieces come of this job'));
