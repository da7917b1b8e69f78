/**
 * One turn at a time for each key, in the order of asking; different keys do not wait for each other.
 * A turn that fails does not stop the next.
 */
export class KeyedQueue {
  readonly #tails = new Map<string, Promise<unknown>>();

  /** Runs `turn` once all earlier turns of `key` have ended; gives what it gives. */
  run<T>(key: string, turn: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key) ?? Promise.resolve();
    const result = before.then(turn, turn);
    const tail = result.then(
      () => undefined,
      () => undefined,
    );
    this.#tails.set(key, tail);
    void tail.then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    });
    return result;
  }

  /** Keys with a turn under way or waiting. */
  get busy(): number {
    return this.#tails.size;
  }
}
