import { Poller, pollFlags, pollOnce, readNow, splice, writeNow } from '../../native/index.ts';

/** What is read at once, bytes: a FIFO that can be written to has room for it, so nothing is read and then held. */
const READ_BYTES = 4 << 10;
const SPLICE_BYTES = 1 << 20;
/** Reads in one turn of the event loop, so that one busy process does not keep the others waiting. */
const READS_PER_TURN = 16;

/** For all copies: none keeps anything in it from one step to the next. */
const scratch = Buffer.allocUnsafe(READ_BYTES);

/** Output on its way. */
export interface Handover {
  /** Resolves when there is no more to come, or it was stopped. */
  readonly ended: Promise<void>;
  /** All that is there at this moment has been handed on. */
  readonly idle: boolean;
  stop(): void;
}

export interface CopyOptions {
  /** Where the bytes go, non-blocking; undefined: they are thrown away. It may change while we copy. */
  readonly to: () => number | undefined;
  /** Both ends are pipes: the bytes need not pass through this process. */
  readonly splice?: boolean;
  /** When nobody takes the bytes any more: go on, so that the writer is not held up, or (default) stop. */
  readonly discard?: boolean;
}

/**
 * Copies one non-blocking descriptor to another until the end. While the target is full nothing is read, so the writer
 * waits. A terminal's end is EIO.
 */
export class Copy implements Handover {
  readonly #from: number;
  readonly #options: CopyOptions;
  /** What was read and found no room after all: a terminal takes less than it says. */
  #rest: Uint8Array | undefined;
  #source: Poller | undefined;
  #target: Poller | undefined;
  #broken = false;
  #stopped = false;
  readonly #ended = Promise.withResolvers<void>();

  constructor(from: number, options: CopyOptions) {
    this.#from = from;
    this.#options = options;
    this.#awaitSource();
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  get idle(): boolean {
    return this.#stopped || (this.#rest === undefined && !holds(this.#from, pollFlags.in));
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#source?.close();
    this.#target?.close();
    this.#ended.resolve();
  }

  /** Moves what can be moved, and then waits for the end that stands in the way. */
  #turn(): void {
    try {
      for (let reads = 0; reads < READS_PER_TURN && !this.#stopped; reads += 1) {
        if (!this.#step()) return;
      }
      if (!this.#stopped) this.#awaitSource();
    } catch {
      // EIO of a terminal whose last process is gone, above all. Linux says so even while it still has output on its
      // way to us, and poll tells: then this was not the end.
      if (!this.#stopped && holds(this.#from, pollFlags.in)) this.#awaitSource();
      else this.stop(); // there is no more to read
    }
  }

  /** False: there is something to wait for, or the end has come. */
  #step(): boolean {
    const to = this.#broken ? undefined : this.#options.to();
    if (to !== undefined) {
      const revents = pollOnce(to, pollFlags.out);
      if ((revents & pollFlags.err) !== 0 || (revents & (pollFlags.out | pollFlags.hup)) === pollFlags.hup)
        return this.#break();
      if ((revents & pollFlags.out) === 0) return this.#awaitTarget(to);
    }
    return to !== undefined && this.#options.splice === true ? this.#splice(to) : this.#copy(to);
  }

  #copy(to: number | undefined): boolean {
    if (this.#rest === undefined) {
      const bytes = readNow(this.#from, scratch);
      if (bytes === undefined) return this.#awaitSource();
      if (bytes === 0) return this.#finish();
      if (to === undefined) return true;
      this.#rest = scratch.subarray(0, bytes);
    }
    return to === undefined ? this.#forgetRest() : this.#write(to, this.#rest);
  }

  #write(to: number, bytes: Uint8Array): boolean {
    let written: number;
    try {
      written = writeNow(to, bytes) ?? 0;
    } catch {
      return this.#break();
    }
    if (written === bytes.length) return this.#forgetRest();
    this.#rest = Buffer.from(bytes.subarray(written)); // a copy: the scratch buffer is everybody's
    return this.#awaitTarget(to);
  }

  #splice(to: number): boolean {
    let bytes: number | undefined;
    try {
      bytes = splice(this.#from, to, SPLICE_BYTES);
    } catch {
      return this.#break(); // of two pipes only the written one can fail
    }
    if (bytes === 0) return this.#finish();
    if (bytes !== undefined) return true;
    // Either there is nothing to read, or no room to write: the wait must be for the right one.
    return holds(this.#from, pollFlags.in) ? this.#awaitTarget(to) : this.#awaitSource();
  }

  #forgetRest(): true {
    this.#rest = undefined;
    return true;
  }

  /** Nobody takes it any more. */
  #break(): boolean {
    if (this.#options.discard !== true) return this.#finish();
    this.#broken = true;
    return this.#forgetRest();
  }

  #finish(): false {
    this.stop();
    return false;
  }

  #awaitSource(): false {
    this.#target?.close();
    this.#target = undefined;
    this.#source ??= new Poller(this.#from, { readable: true }, () => this.#turn());
    return false;
  }

  #awaitTarget(fd: number): false {
    this.#source?.close();
    this.#source = undefined;
    this.#target ??= new Poller(fd, { writable: true }, () => this.#turn());
    return false;
  }
}

/** How far apart two looks are, ms; the longer the reader keeps us waiting, the farther. */
const LOOK_MS_MIN = 10;
const LOOK_MS_MAX = 500;

/** Resolves when a copy has ended, or has nothing to hand on at two looks in a row: a terminal's output takes a moment. */
export const handedOn = (handover: Handover): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let timer: NodeJS.Timeout;
  const look = (idleBefore: boolean, waitMs: number): void => {
    const { idle } = handover;
    if (idle && idleBefore) return resolve();
    // Not a reason to keep a shim alive that wants to end.
    timer = setTimeout(() => look(idle, idle ? LOOK_MS_MIN : Math.min(waitMs * 2, LOOK_MS_MAX)), waitMs).unref();
  };
  look(false, LOOK_MS_MIN);
  void handover.ended.then(() => {
    clearTimeout(timer);
    resolve();
  });
  return promise;
};

const holds = (fd: number, flag: number): boolean => (pollOnce(fd, flag) & flag) !== 0;
