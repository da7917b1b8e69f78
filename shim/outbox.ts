import { setImmediate as nextTurn } from 'node:timers/promises';
import { nowNanos } from '../native/index.ts';
import type { Any } from '../proto/gen/google/protobuf/any.ts';
import type { Log } from './log.ts';
import { type OutboxEvent, OutboxFile } from './outbox-file.ts';

/** Between two attempts to reach the daemon, ms; doubled from the one to the other. There is no limit of attempts. */
const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 1_000;

export interface OutboxParts {
  readonly path: string;
  /** Resolves when the daemon has acknowledged the event. */
  readonly forward: (event: OutboxEvent) => Promise<void>;
  readonly log: Log;
}

/**
 * All task events of a shim in one order. An event is on the file before it is sent, is sent when its predecessor has
 * been acknowledged, and stays until it is acknowledged itself. With nothing to send there is no timer.
 */
export class Outbox {
  readonly #parts: OutboxParts;
  readonly #file: OutboxFile;
  readonly #queue: OutboxEvent[];
  readonly #waiters = new Map<bigint, PromiseWithResolvers<void>>();
  #acknowledged: bigint;
  #last: bigint;
  #delivering = false;
  #closed = false;
  #retryMs = RETRY_MS_MIN;
  /** Ends a pause between two attempts. */
  #wake: (() => void) | undefined;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
    this.#file = new OutboxFile(parts.path);
    const { acknowledged, events } = this.#file.read();
    this.#acknowledged = acknowledged;
    this.#queue = events;
    this.#last = events.at(-1)?.sequence ?? acknowledged;
  }

  /** The sequence that the next event will get. */
  get next(): bigint {
    return this.#last + 1n;
  }

  get empty(): boolean {
    return this.#queue.length === 0;
  }

  /** Adds an event to the end and begins to send; gives its sequence. Never fails: what the disk refuses, memory keeps. */
  append(topic: string, payload: Any, options: { readonly unrecorded?: boolean } = {}): bigint {
    const event: OutboxEvent = { sequence: this.next, timestamp: nowNanos(), topic, payload, ...options };
    this.#keep(event);
    this.#last = event.sequence;
    this.#queue.push(event);
    this.begin();
    return event.sequence;
  }

  /**
   * Puts back an event that a crash, or a full disk, kept out of the file, at the place that its exit record gives.
   * Nothing happens if it is there or was acknowledged.
   */
  restore(sequence: bigint, topic: string, payload: Any): void {
    if (sequence <= this.#acknowledged || this.#queue.some((event) => event.sequence === sequence)) return;
    const event: OutboxEvent = { sequence, timestamp: nowNanos(), topic, payload };
    this.#keep(event);
    if (sequence > this.#last) this.#last = sequence;
    this.#queue.push(event);
    this.#queue.sort((one, other) => (one.sequence < other.sequence ? -1 : 1));
  }

  /** Keeps the places up to this one for events that will be restored. */
  reserve(sequence: bigint): void {
    if (sequence > this.#last) this.#last = sequence;
  }

  /** Resolves once the daemon has acknowledged the event of that sequence. */
  whenAcknowledged(sequence: bigint): Promise<void> {
    if (sequence <= this.#acknowledged) return Promise.resolve();
    let waiter = this.#waiters.get(sequence);
    if (waiter === undefined) this.#waiters.set(sequence, (waiter = Promise.withResolvers<void>()));
    return waiter.promise;
  }

  /** Resolves once nothing is left to send. */
  whenEmpty(): Promise<void> {
    return this.whenAcknowledged(this.#last);
  }

  /** The daemon has been heard of: no reason to go on pausing. */
  hint(): void {
    this.#retryMs = RETRY_MS_MIN;
    this.#wake?.();
  }

  /** Begins to send what there is. */
  begin(): void {
    if (this.#delivering || this.#closed) return;
    this.#delivering = true;
    // Behind the answer of the call that it comes from: a client waits for that.
    void nextTurn()
      .then(() => this.#deliver())
      .finally(() => {
        this.#delivering = false;
        if (!this.empty) this.begin();
      });
  }

  close(): void {
    this.#closed = true;
    this.#wake?.();
    this.#file.close();
  }

  async #deliver(): Promise<void> {
    for (let event = this.#queue[0]; event !== undefined && !this.#closed; event = this.#queue[0]) {
      try {
        await this.#parts.forward(event);
      } catch (error) {
        // Once per outage, at its first attempt; the daemon being away is its own business.
        if (this.#retryMs === RETRY_MS_MIN) this.#parts.log.debug('event is kept', { topic: event.topic, error });
        await this.#pause();
        continue;
      }
      this.#retryMs = RETRY_MS_MIN;
      this.#settle(event);
    }
  }

  #settle(event: OutboxEvent): void {
    if (this.#closed) return;
    this.#queue.shift();
    this.#acknowledged = event.sequence;
    try {
      this.#file.acknowledge(event.sequence, this.empty);
    } catch (error) {
      this.#parts.log.warn('acknowledgement is not on disk: the event may be sent again', {
        topic: event.topic,
        error,
      });
    }
    for (const [sequence, waiter] of this.#waiters) {
      if (sequence > event.sequence) continue;
      this.#waiters.delete(sequence);
      waiter.resolve();
    }
  }

  #keep(event: OutboxEvent): void {
    try {
      this.#file.append(event);
    } catch (error) {
      this.#parts.log.warn('event is in memory only', { topic: event.topic, error });
    }
  }

  async #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#retryMs);
    this.#wake = resolve;
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
    await promise;
    clearTimeout(timer);
    this.#wake = undefined;
  }
}
