import { closeSync } from 'node:fs';
import { openFifo, pollFlags, pollOnce } from '../../native/index.ts';

/** How soon, ms, a look is taken whether a reader has come for output that nobody read; doubled from one to the other. */
const LOOK_MS_MIN = 5;
const LOOK_MS_MAX = 500;

/** Ends of a FIFO that survived for us. */
export interface FifoEnds {
  readonly read?: number | undefined;
  readonly write?: number | undefined;
}

/**
 * Our two ends of an output FIFO. The read end is never read from: it keeps a write from failing while no client
 * reads. The write end keeps what was written after the process has gone, until a reader is there to see its end.
 */
export class FifoOutput {
  readonly path: string;
  #read: number | undefined;
  #write: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #released = false;

  private constructor(path: string, ends: FifoEnds) {
    this.path = path;
    this.#read = ends.read;
    this.#write = ends.write;
  }

  /** Takes the ends that survived; opens what is missing. The read end first: without a reader no writer can be opened. */
  static open(path: string, ends: FifoEnds = {}): FifoOutput {
    const read = ends.read ?? openFifo(path, { read: true });
    try {
      return new FifoOutput(path, { read, write: ends.write ?? openFifo(path, { write: true }) });
    } catch (error) {
      closeSync(read);
      throw error;
    }
  }

  /** Takes up an output that was released: all that may be left of it is a write end that waits for a reader. */
  static resumeReleased(path: string, ends: FifoEnds): FifoOutput {
    const output = new FifoOutput(path, ends);
    output.release();
    return output;
  }

  /** An end for the process itself: an open file of its own, since O_NONBLOCK belongs to the open file. */
  openForProcess(): number {
    return openFifo(this.path, { write: true, blocking: true });
  }

  /** Our write end, non-blocking, for output that we copy; undefined once the reader has been let go. */
  get writeEnd(): number | undefined {
    return this.#write;
  }

  get ends(): FifoEnds {
    return { read: this.#read, write: this.#write };
  }

  /** Nothing more will be written: a reader sees the end, now or when it comes. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    if (this.#read !== undefined) closeSync(this.#read);
    this.#read = undefined;
    this.#look(LOOK_MS_MIN);
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const fd of [this.#read, this.#write]) if (fd !== undefined) closeSync(fd);
    this.#read = undefined;
    this.#write = undefined;
    this.#released = true;
  }

  #look(waitMs: number): void {
    if (this.#write === undefined) return;
    // POLLERR on a write end: nobody has the FIFO open for reading.
    if ((pollOnce(this.#write, 0) & pollFlags.err) === 0) {
      closeSync(this.#write);
      this.#write = undefined;
      return;
    }
    // Not a reason to keep a shim alive that wants to end.
    this.#timer = setTimeout(() => this.#look(Math.min(waitMs * 2, LOOK_MS_MAX)), waitMs).unref();
  }
}
