import { canceled, CodedError, codeOf, messageOf } from '../../common/errdefs.ts';
import { TtrpcClient } from '../../common/ttrpc/client.ts';

/** Connections kept open between two calls. */
const IDLE_MAX = 1;

/** Nobody was connected to: the call was never sent. */
export class NotReached extends CodedError {}

/**
 * Connections to one shim, one call at a time on each: so no call waits behind another, and a caller that gives up can
 * say so, which in ttrpc is done by hanging up.
 */
export class Connections {
  readonly #idle: TtrpcClient[] = [];
  readonly #address: string;
  readonly #connectMs: number;
  #closed = false;

  constructor(address: string, connectMs: number) {
    this.#address = address;
    this.#connectMs = connectMs;
  }

  /** Runs a call. Aborting `signal` ends it at once, for the shim too. */
  async use<T>(call: (client: TtrpcClient) => Promise<T>, signal?: AbortSignal): Promise<T> {
    refuseAborted(signal);
    const client = await this.#take();
    let settled = false;
    const hangUp = (): void => {
      if (!settled) client.close();
    };
    signal?.addEventListener('abort', hangUp, { once: true });
    try {
      refuseAborted(signal);
      return await call(client);
    } finally {
      settled = true;
      signal?.removeEventListener('abort', hangUp);
      if (client.open && !this.#closed && this.#idle.length < IDLE_MAX) this.#idle.push(client);
      else client.close();
    }
  }

  /** Lets go of the connections that nobody uses; those in use go with their call. */
  close(): void {
    this.#closed = true;
    for (const client of this.#idle) client.close();
    this.#idle.length = 0;
  }

  async #take(): Promise<TtrpcClient> {
    for (let client = this.#idle.pop(); client !== undefined; client = this.#idle.pop()) {
      if (client.open) return client;
    }
    try {
      return await TtrpcClient.connect(this.#address, { timeoutMs: this.#connectMs });
    } catch (error) {
      throw new NotReached(codeOf(error), messageOf(error), { cause: error });
    }
  }
}

const refuseAborted = (signal: AbortSignal | undefined): void => {
  if (signal?.aborted === true) throw canceled('call to a shim', { cause: signal.reason });
};
