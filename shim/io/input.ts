import { closeSync } from 'node:fs';
import { openFifo } from '../../native/index.ts';

/**
 * Our writer of an input FIFO: while we hold it, a client that goes away and comes back is no end of input. CloseIO
 * closes it.
 */
export class FifoInput {
  #write: number | undefined;

  private constructor(write: number | undefined) {
    this.#write = write;
  }

  /** Opens the reading end, a file of its own, and then our writer, which needs a reader to be there. */
  static open(
    path: string,
    options: { readonly blocking: boolean },
  ): { readonly input: FifoInput; readonly readEnd: number } {
    const readEnd = openFifo(path, { read: true, blocking: options.blocking });
    try {
      return { input: new FifoInput(openFifo(path, { write: true })), readEnd };
    } catch (error) {
      closeSync(readEnd);
      throw error;
    }
  }

  /** Takes the writer that survived, or opens it again; there is none to open once the process has closed its end. */
  static resume(path: string, write: number | undefined): FifoInput {
    if (write !== undefined) return new FifoInput(write);
    try {
      return new FifoInput(openFifo(path, { write: true }));
    } catch {
      return new FifoInput(undefined);
    }
  }

  get fd(): number | undefined {
    return this.#write;
  }

  close(): void {
    if (this.#write !== undefined) closeSync(this.#write);
    this.#write = undefined;
  }
}
