import { setTimeout as pause } from 'node:timers/promises';
import { CodedError, codeOf, codes, messageOf, unimplemented } from '../common/errdefs.ts';
import { parseFilters } from '../common/filters.ts';
import { SequencedEnvelope, SINCE_KEY, SINCE_TIME_KEY } from '../common/sequenced-envelope.ts';
import { nanosFromTimestamp, nowWholeMs } from '../common/timestamp.ts';
import { EventsDefinition } from '../proto/gen/containerd/services/events/v1/events.ts';
import { VersionDefinition } from '../proto/gen/containerd/services/version/v1/version.ts';
import type { Any } from '../proto/gen/google/protobuf/any.ts';
import { UnreachableError, type Channel } from './channel.ts';
import { eventFields } from './event-fields.ts';
import { decodePayload, type EventPayload } from './event-payload.ts';
import { nextPause } from './while-away.ts';

/** A daemon has answered well before this when it has history to give, milliseconds. */
const HISTORY_QUIET_MS = 1_000;

/** A sequence that no log reaches, and the words of the refusal (daemon/services/events.ts). */
const FAR = 9_999_999_999_999_999_999n;
const LAST_EVENT = /the last event is (\d+)/;

export interface Event {
  /** Place in the daemon's log, rising; undefined: the daemon keeps none (containerd). */
  readonly sequence: bigint | undefined;
  /** When it was published, nanoseconds since 1970. */
  readonly timestampNanos: bigint;
  readonly namespace: string;
  /** `/tasks/exit` */
  readonly topic: string;
  readonly payload: EventPayload;
}

export interface Subscription {
  /** As containerd writes them: `topic=="/tasks/exit"`, `namespace==moby,topic~=|^/tasks/|`; several: any of them. */
  readonly filters?: readonly string[];
  /**
   * Where to begin: behind a sequence (0n: all that the daemon still has), or with what happened at a time, in
   * nanoseconds since 1970. Default: with what happens from now on. A containerd has no history and ignores this.
   */
  readonly since?: { readonly sequence: bigint } | { readonly timeNanos: bigint };
  /** Called when the stream has broken, before it is opened again. */
  readonly onBroken?: (error: unknown) => void;
}

/** The Subscribe method, with the sequence that a Holdfast daemon adds to each event. */
const service = {
  ...EventsDefinition,
  methods: {
    ...EventsDefinition.methods,
    subscribe: { ...EventsDefinition.methods.subscribe, responseType: SequencedEnvelope },
  },
} as const;

/** Endings of a stream that say something of the daemon's life and nothing of the subscription. */
const passing: ReadonlySet<number> = new Set([codes.unavailable, codes.canceled]);

/** What happens in the daemon, in all namespaces. */
export class Events {
  readonly #channel: Channel;
  readonly #namespace: string;

  constructor(channel: Channel, namespace: string) {
    this.#channel = channel;
    this.#namespace = namespace;
  }

  /**
   * The events that match, in order, without end: leave the loop or abort `signal` (which throws). When the daemon
   * goes away the subscription is opened again behind the last event that was seen: from a Holdfast daemon nothing is
   * missed and nothing comes twice; from a containerd what happens meanwhile is missed.
   *
   * Throws invalidArgument for a filter that cannot be read, and outOfRange when the daemon's log no longer has what
   * comes next. An unreachable daemon is an error at the first attempt only.
   */
  async *subscribe(subscription: Subscription = {}, signal?: AbortSignal): AsyncGenerator<Event, void, undefined> {
    const began = nowWholeMs();
    let since = subscription.since;
    let pauseMs = 0;
    for (;;) {
      try {
        for await (const event of this.#stream(subscription.filters ?? [], since, signal)) {
          pauseMs = 0;
          if (event.sequence !== undefined) since = { sequence: event.sequence };
          yield event;
        }
        subscription.onBroken?.(new CodedError(codes.unavailable, 'the daemon ended the stream: unavailable'));
      } catch (error) {
        const first = since === subscription.since && pauseMs === 0;
        if (signal?.aborted === true || !passing.has(codeOf(error)) || (first && error instanceof UnreachableError))
          throw error;
        if (pauseMs === 0) subscription.onBroken?.(error);
      }
      since ??= { timeNanos: began };
      pauseMs = nextPause(pauseMs);
      await pause(pauseMs, undefined, signal === undefined ? {} : { signal });
    }
  }

  /**
   * The events that match of those that the daemon has kept, from `since` on (default: all), and then the end.
   * Throws unimplemented where the daemon keeps none (containerd).
   */
  async *history(
    { filters = [], since = { sequence: 0n } }: Pick<Subscription, 'filters' | 'since'> = {},
    signal?: AbortSignal,
  ): AsyncGenerator<Event, void, undefined> {
    // Matched here: the daemon would pass over the last event, which is how we know that it was the last.
    const matches = parseFilters(filters);
    const last = await this.#last(signal);
    if (last === 0n) return;
    // The newest event may be gone from the log, and then silence says that nothing is left.
    const quiet = new AbortController();
    const timer = setTimeout(() => quiet.abort(), HISTORY_QUIET_MS);
    const either = signal === undefined ? quiet.signal : AbortSignal.any([signal, quiet.signal]);
    try {
      for await (const event of this.#stream([], since, either)) {
        if (event.sequence === undefined || event.sequence > last) return;
        if (matches(eventFields(event))) yield event;
        if (event.sequence === last) return;
        timer.refresh();
      }
    } catch (error) {
      if (!quiet.signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Publishes an event in the client's namespace. `topic` begins with `/`. */
  async publish(topic: string, event: Any, signal?: AbortSignal): Promise<void> {
    await this.#channel.call(EventsDefinition, 'publish', { topic, event }, { namespace: this.#namespace }, signal);
  }

  /** Sequence of the newest event. A Holdfast daemon names it when it is asked for what lies far behind it. */
  async #last(signal: AbortSignal | undefined): Promise<bigint> {
    const { version } = await this.#channel.call(VersionDefinition, 'version', {}, {}, signal);
    if (!version.includes('holdfast')) throw unimplemented(`a history of events (the daemon is containerd ${version})`);
    try {
      for await (const _ of this.#stream([], { sequence: FAR }, signal)) break;
    } catch (error) {
      const last = LAST_EVENT.exec(messageOf(error))?.[1];
      if (codeOf(error) === codes.outOfRange && last !== undefined) return BigInt(last);
      throw error;
    }
    throw unimplemented('a history of events');
  }

  async *#stream(
    filters: readonly string[],
    since: Subscription['since'],
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Event, void, undefined> {
    const options = { namespace: this.#namespace, metadata: sinceMetadata(since) };
    const stream = this.#channel.stream(service, 'subscribe', { filters: [...filters] }, options, signal);
    for await (const envelope of stream) yield eventOf(envelope);
  }
}

const sinceMetadata = (since: Subscription['since']): Record<string, string> => {
  if (since === undefined) return {};
  return 'sequence' in since ? { [SINCE_KEY]: String(since.sequence) } : { [SINCE_TIME_KEY]: String(since.timeNanos) };
};

const eventOf = (envelope: SequencedEnvelope): Event => ({
  sequence: envelope.sequence,
  timestampNanos: nanosFromTimestamp(envelope.timestamp),
  namespace: envelope.namespace,
  topic: envelope.topic,
  payload: decodePayload(envelope.event),
});
