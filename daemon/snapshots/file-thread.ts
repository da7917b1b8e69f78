import { Worker } from 'node:worker_threads';
import { CodedError, codes, unavailable } from '../../common/errdefs.ts';
import type { DiskUsage, FileJob, FileReply } from './file-job.ts';

/** A worker thread (file-worker.ts) for one job at a time. While it has none, it does not keep the process going. */
export class FileThread {
  readonly #worker: Worker;
  #settle: ((reply: FileReply | Error) => void) | undefined;
  #alive = true;

  constructor() {
    // In development this file runs as .ts; bundled, the worker lies beside the bundle.
    const entry = import.meta.url.endsWith('.ts') ? './file-worker.ts' : './file-worker.mjs';
    this.#worker = new Worker(new URL(entry, import.meta.url));
    this.#worker.on('message', (reply: FileReply) => this.#settle?.(reply));
    this.#worker.on('error', (error) => this.#settle?.(error instanceof Error ? error : new Error(String(error))));
    this.#worker.on('exit', () => {
      this.#alive = false;
      this.#settle?.(unavailable('the worker thread was ended'));
    });
  }

  /** Whether it can take another job. */
  get alive(): boolean {
    return this.#alive;
  }

  /** An abort ends the thread in the middle of the job: no system call of it waits for ever, and none is undone. */
  async run(job: FileJob, signal: AbortSignal | undefined): Promise<DiskUsage | undefined> {
    const { promise, resolve } = Promise.withResolvers<FileReply | Error>();
    this.#settle = resolve;
    const onAbort = (): void => void this.end();
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#worker.ref();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker has no origins
    this.#worker.postMessage(job);
    try {
      const reply = await promise;
      signal?.throwIfAborted();
      if (reply instanceof Error) throw reply;
      if ('error' in reply)
        throw new CodedError(FULL.has(reply.errno) ? codes.resourceExhausted : codes.unknown, reply.error);
      return reply.usage;
    } finally {
      this.#settle = undefined;
      this.#worker.unref();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async end(): Promise<void> {
    this.#alive = false;
    await this.#worker.terminate();
  }
}

const FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT']);
