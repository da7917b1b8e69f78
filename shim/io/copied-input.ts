import { closeSync } from 'node:fs';
import { Copy } from './copy.ts';
import type { FifoInput } from './input.ts';
import { present, type Stream } from './stream.ts';

/** Input that a client writes into its FIFO and that we hand on: to a terminal, or through a pipe of ours. */
export class CopiedInput implements Stream {
  readonly #input: FifoInput;
  readonly #copy: Copy;
  #readEnd: number | undefined;
  #pipe: number | undefined;

  /** `readEnd` is the FIFO's and non-blocking. A pipe is ours to close at the end of the input; a terminal is not. */
  constructor(readEnd: number, input: FifoInput, target: { readonly pipe: number } | { readonly terminal: number }) {
    this.#readEnd = readEnd;
    this.#input = input;
    const piped = 'pipe' in target;
    if (piped) this.#pipe = target.pipe;
    const to = piped ? target.pipe : target.terminal;
    this.#copy = new Copy(readEnd, { to: () => to, splice: piped });
    void this.#copy.ended.then(() => this.#end());
  }

  get fds(): Record<string, number> {
    return present({ read: this.#readEnd, write: this.#input.fd, pipe: this.#pipe });
  }

  /** The end comes when the client's writers are closed too. */
  closeStdin(): void {
    this.#input.close();
  }

  async drained(): Promise<void> {}

  release(): void {}

  async close(): Promise<void> {
    this.#copy.stop();
    this.#end();
    this.#input.close();
  }

  /** The process learns that there is no more to come, and a client that goes on writing that nobody reads. */
  #end(): void {
    for (const fd of [this.#readEnd, this.#pipe]) if (fd !== undefined) closeSync(fd);
    this.#readEnd = undefined;
    this.#pipe = undefined;
  }
}
