import { write } from 'node:fs';
import { promisify } from 'node:util';
import { Poller, pollFlags, pollOnce, readNow } from '../../native/index.ts';
import type { Handover } from './copy.ts';

/** What is read at once, bytes; also all that is held while a slow disk takes its time. */
const READ_BYTES = 64 << 10;

const writeFile = promisify(write);

/**
 * Appends what can be read from a non-blocking descriptor to a file. Files are always ready and may still make a writer
 * wait, so they are written to in the thread pool. What a full disk refuses is lost, and the writer is not held up.
 */
export class FileCopy implements Handover {
  readonly #from: number;
  readonly #file: number;
  readonly #buffer = Buffer.allocUnsafe(READ_BYTES);
  readonly #ended = Promise.withResolvers<void>();
  #source: Poller | undefined;
  #stopped = false;
  #writing = false;

  constructor(from: number, file: number) {
    this.#from = from;
    this.#file = file;
    this.#await();
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  get idle(): boolean {
    return this.#stopped || (!this.#writing && (pollOnce(this.#from, pollFlags.in) & pollFlags.in) === 0);
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#source?.close();
    if (!this.#writing) this.#ended.resolve();
  }

  #await(): void {
    this.#source = new Poller(this.#from, { readable: true }, () => this.#read());
  }

  #read(): void {
    let bytes: number | undefined;
    try {
      bytes = readNow(this.#from, this.#buffer);
    } catch {
      // EIO is a terminal's end, unless poll says that some of its output is still on its way to us.
      bytes = (pollOnce(this.#from, pollFlags.in) & pollFlags.in) === 0 ? 0 : undefined;
    }
    if (bytes === undefined) return;
    if (bytes === 0) return this.stop();
    this.#source?.close();
    this.#writing = true;
    void this.#write(this.#buffer.subarray(0, bytes)).then(() => {
      this.#writing = false;
      if (this.#stopped) this.#ended.resolve();
      else this.#await();
    });
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      for (let rest = bytes; rest.length > 0;) {
        const { bytesWritten } = await writeFile(this.#file, rest);
        rest = rest.subarray(bytesWritten);
      }
    } catch {
      // Lost, as for a process that writes to a full disk itself.
    }
  }
}
