import { canceled } from '../../common/errdefs.ts';
import type { Exit } from '../store/tables/tasks.ts';
import { keyText, type ProcessKey } from './keys.ts';

/** Those who wait for a process's end. What has ended before they came they find in its row. */
export class ExitWaiters {
  readonly #waiting = new Map<string, Set<(exit: Exit) => void>>();

  /** Resolves at the next `settle` of that process; Canceled when `signal` aborts, with its own reason if that is coded. */
  async next(key: ProcessKey, signal: AbortSignal): Promise<Exit> {
    const text = keyText(key);
    const { promise, resolve, reject } = Promise.withResolvers<Exit>();
    const onAbort = (): void => reject(signal.reason instanceof Error ? signal.reason : canceled('wait'));
    const waiters = this.#waiting.get(text) ?? new Set();
    this.#waiting.set(text, waiters.add(resolve));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal.aborted) onAbort();
      return await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
      waiters.delete(resolve);
      if (waiters.size === 0 && this.#waiting.get(text) === waiters) this.#waiting.delete(text);
    }
  }

  settle(key: ProcessKey, exit: Exit): void {
    const waiters = this.#waiting.get(keyText(key));
    if (waiters !== undefined) for (const resolve of waiters) resolve(exit);
  }

  /** How many wait. */
  get count(): number {
    let count = 0;
    for (const waiters of this.#waiting.values()) count += waiters.size;
    return count;
  }
}
