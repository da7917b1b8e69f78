import { canceled } from '../../common/errdefs.ts';
import { KeyedQueue } from '../../common/keyed-queue.ts';

/**
 * One lifecycle verb at a time for each process. Kill, Get, Wait and exits take no turn: they never wait for a verb.
 */
export class Turns {
  readonly #queue = new KeyedQueue();

  /**
   * Runs `verb` when its turn has come. A caller that goes away loses its place; once begun, what to make of that is the
   * verb's business.
   */
  async run<T>(key: string, signal: AbortSignal, verb: () => Promise<T>): Promise<T> {
    const { promise: gone, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => reject(canceled(`waiting for a turn of ${key}`, { cause: signal.reason }));
    signal.addEventListener('abort', onAbort, { once: true });
    let begun = false;
    const turn = this.#queue.run(key, async () => {
      if (signal.aborted) throw canceled(`waiting for a turn of ${key}`, { cause: signal.reason });
      begun = true;
      signal.removeEventListener('abort', onAbort);
      return await verb();
    });
    turn.catch(() => undefined); // a caller that went away does not hear of it
    try {
      if (signal.aborted) onAbort();
      return await Promise.race([turn, gone]);
    } finally {
      if (!begun) signal.removeEventListener('abort', onAbort);
    }
  }

  /** Processes with a verb under way or waiting. */
  get busy(): number {
    return this.#queue.busy;
  }
}
