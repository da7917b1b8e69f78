/**
 * Lets one failure cut short whatever is being waited for. Racing against a promise that lives as long as a stream
 * would leave something behind on it with every message; here nothing stays once a wait is over.
 */
export class Interruption {
  readonly #waits = new Set<(reason: unknown) => void>();
  #fired: { readonly reason: unknown } | undefined;

  /** As `promise`, or rejected with the reason as soon as that is known. */
  async guard<T>(promise: Promise<T>): Promise<T> {
    const wait = Promise.withResolvers<T>();
    promise.then(wait.resolve, wait.reject);
    if (this.#fired !== undefined) wait.reject(this.#fired.reason);
    this.#waits.add(wait.reject);
    try {
      return await wait.promise;
    } finally {
      this.#waits.delete(wait.reject);
    }
  }

  /** The first reason stays. */
  fire(reason: unknown): void {
    this.#fired ??= { reason };
    for (const reject of this.#waits) reject(reason);
  }
}
