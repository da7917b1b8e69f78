/**
 * An owner for promises. `run` starts a task; the scope's signal aborts when one fails or when the scope is closed;
 * `close` aborts and waits until all have ended. So no promise is left without somebody who waits for it.
 */
export class Scope implements AsyncDisposable {
  readonly #controller = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #failure: { readonly error: unknown } | undefined;

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Starts `task`; its failure ends its siblings. */
  run(task: (signal: AbortSignal) => Promise<unknown>): void {
    const promise = task(this.signal)
      .catch((error: unknown) => {
        if (this.#failure === undefined && !this.signal.aborted) this.#failure = { error };
        this.#controller.abort(error);
      })
      .finally(() => this.#running.delete(promise));
    this.#running.add(promise);
  }

  /** Waits for all tasks, those started meanwhile too; rejects with the first failure. */
  async join(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async close(): Promise<void> {
    this.#controller.abort(new Error('scope closed'));
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
