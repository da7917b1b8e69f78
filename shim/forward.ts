import { EVENT_SEQUENCE_KEY, EVENT_SHIM_KEY, EVENT_UNRECORDED_KEY } from '../common/bootstrap.ts';
import { NAMESPACE_KEY_TTRPC } from '../common/namespace.ts';
import { timestampFromNanos } from '../common/timestamp.ts';
import { TtrpcClient } from '../common/ttrpc/client.ts';
import { EventsDefinition } from '../proto/gen/containerd/services/events/ttrpc/v1/events_ttrpc.ts';
import type { OutboxEvent } from './outbox-file.ts';

/** How long a daemon may take to accept a connection, ms. */
const CONNECT_TIMEOUT_MS = 2_000;
/**
 * How long a daemon may take to acknowledge an event, ms. Generous: what it had accepted after all is sent again, and
 * only our own daemon recognises a repeat.
 */
const ACKNOWLEDGE_TIMEOUT_MS = 15_000;

export interface ForwarderOptions {
  /** The daemon's socket for events. */
  readonly address: string;
  readonly namespace: string;
  /** Names this shim, and this life of it, to the daemon. */
  readonly shim: string;
}

/** Hands events to the daemon. Holds one connection, made when there is something to say. */
export class Forwarder {
  readonly #options: ForwarderOptions;
  #client: TtrpcClient | undefined;

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  /** Resolves when the daemon has acknowledged the event; any failure means that it may or may not have it. */
  async forward(event: OutboxEvent): Promise<void> {
    const client = await this.#connected();
    try {
      await client.call(EventsDefinition, 'forward', this.#request(event), {
        metadata: this.#metadata(event),
        timeoutMs: ACKNOWLEDGE_TIMEOUT_MS,
      });
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  async #connected(): Promise<TtrpcClient> {
    if (this.#client !== undefined) return this.#client;
    const client = await TtrpcClient.connect(this.#options.address, { timeoutMs: CONNECT_TIMEOUT_MS });
    this.#client = client;
    void client.closed.then(() => {
      if (this.#client === client) this.#client = undefined;
    });
    return client;
  }

  #request(event: OutboxEvent) {
    const { namespace } = this.#options;
    const timestamp = timestampFromNanos(event.timestamp);
    return { envelope: { timestamp, namespace, topic: event.topic, event: event.payload } };
  }

  #metadata(event: OutboxEvent): Map<string, string[]> {
    return new Map([
      [NAMESPACE_KEY_TTRPC, [this.#options.namespace]],
      [EVENT_SHIM_KEY, [this.#options.shim]],
      [EVENT_SEQUENCE_KEY, [String(event.sequence)]],
      ...(event.unrecorded === true ? ([[EVENT_UNRECORDED_KEY, ['1']]] as const) : []),
    ] as [string, string[]][]);
  }
}
