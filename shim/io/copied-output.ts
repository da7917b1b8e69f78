import { closeSync } from 'node:fs';
import { pollFlags, pollOnce } from '../../native/index.ts';
import { handedOn, type Handover } from './copy.ts';
import type { Sink } from './sinks.ts';
import { prefixed, type Stream } from './stream.ts';

/** How soon, ms, a look is taken whether a process has opened the terminal again; doubled from one to the other. */
const REOPEN_MS_MIN = 10;
const REOPEN_MS_MAX = 500;

/** Output that comes to us first: of a terminal, or through a pipe of ours. Owns the sink and the source. */
export class CopiedOutput implements Stream {
  readonly #source: number;
  readonly #kind: 'pipe' | 'terminal';
  readonly #sink: Sink;
  #copy: Handover;
  #timer: NodeJS.Timeout | undefined;
  #released = false;
  #closed = false;

  /** `source` is non-blocking. */
  constructor(source: number, kind: 'pipe' | 'terminal', sink: Sink) {
    this.#source = source;
    this.#kind = kind;
    this.#sink = sink;
    this.#copy = this.#start();
  }

  get fds(): Record<string, number> {
    return this.#closed ? {} : { source: this.#source, ...prefixed('sink', this.#sink.fds) };
  }

  drained(): Promise<void> {
    return handedOn(this.#copy);
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    void handedOn(this.#copy).then(() => this.#sink.release());
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#copy.stop();
    await this.#copy.ended;
    this.#sink.close();
    closeSync(this.#source);
  }

  #start(): Handover {
    const copy = this.#sink.copyFrom(this.#source, { pipe: this.#kind === 'pipe' });
    if (this.#kind === 'terminal') void copy.ended.then(() => this.#awaitReopening(REOPEN_MS_MIN));
    return copy;
  }

  /** A terminal that no process has open reads as if it were at its end; a daemon in the container may open it again. */
  #awaitReopening(waitMs: number): void {
    if (this.#closed || this.#released) return;
    if ((pollOnce(this.#source, pollFlags.in) & pollFlags.hup) === 0) {
      this.#copy = this.#start();
      return;
    }
    const next = Math.min(waitMs * 2, REOPEN_MS_MAX);
    this.#timer = setTimeout(() => this.#awaitReopening(next), waitMs).unref();
  }
}
