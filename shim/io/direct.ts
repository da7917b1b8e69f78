import { FifoInput } from './input.ts';
import type { FifoOutput } from './output.ts';
import { present, type Stream } from './stream.ts';

/** A stream that the process has to itself: nothing, a file, or a logger's pipe. */
export const handedOver: Stream = {
  fds: {},
  drained: async () => undefined,
  release: () => undefined,
  close: async () => undefined,
};

/** Input that the process reads from the client's FIFO itself. */
export class DirectInput implements Stream {
  readonly #input: FifoInput;

  constructor(input: FifoInput) {
    this.#input = input;
  }

  get fds(): Record<string, number> {
    return present({ write: this.#input.fd });
  }

  closeStdin(): void {
    this.#input.close();
  }

  async drained(): Promise<void> {}

  release(): void {
    this.#input.close();
  }

  async close(): Promise<void> {
    this.#input.close();
  }
}

/** Output that the process writes into the client's FIFO itself. */
export class DirectOutput implements Stream {
  readonly #output: FifoOutput;

  constructor(output: FifoOutput) {
    this.#output = output;
  }

  get fds(): Record<string, number> {
    return present({ ...this.#output.ends });
  }

  async drained(): Promise<void> {}

  release(): void {
    this.#output.release();
  }

  async close(): Promise<void> {
    this.#output.close();
  }
}
