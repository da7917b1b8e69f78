import { about, CodedError, codes, invalidArgument, unknownError } from '../../common/errdefs.ts';
import { requireNamespace } from '../../common/namespace.ts';
import { SequencedEnvelope, SINCE_KEY, SINCE_TIME_KEY } from '../../common/sequenced-envelope.ts';
import { nowNanos } from '../../native/index.ts';
import { EventsDefinition } from '../../proto/gen/containerd/services/events/v1/events.ts';
import { type Call, type Service, service } from '../call.ts';
import { type ForwardParts, forwardEvent } from '../events/forward.ts';
import { startedAt } from '../events/started-at.ts';
import { subscribe, type SubscribeParts } from '../events/subscribe.ts';
import { checkTopic, eventFromEnvelope } from '../events/validate.ts';

export interface EventsParts extends SubscribeParts, ForwardParts {}

/** containerd's service; Subscribe also gives each event's place in the log. */
const definition = {
  ...EventsDefinition,
  methods: {
    ...EventsDefinition.methods,
    subscribe: { ...EventsDefinition.methods.subscribe, responseType: SequencedEnvelope },
  },
} as const;

export const eventsService = (parts: EventsParts): Service =>
  service(definition, {
    publish: async ({ topic, event }, call) => {
      const namespace = publisherNamespace(call);
      checkTopic(topic);
      const payload = event ?? { typeUrl: '', value: Buffer.alloc(0) };
      parts.db.transaction(() => parts.events.append({ namespace, topic, timestampNanos: nowNanos(), payload }));
      await parts.events.publish();
      return {};
    },
    forward: async ({ envelope }) => {
      await forwardEvent(parts, eventFromEnvelope(envelope));
      return {};
    },
    subscribe: ({ filters }, call) => {
      const since = sinceOf(parts, call);
      call.log.debug({ filters, since: since?.toString() }, 'subscribed');
      const subscriberSince = call.peer === undefined ? undefined : startedAt(call.peer.pid);
      return refusing(subscribe(parts, { filters, since, subscriberSince }, call.signal));
    },
  });

const publisherNamespace = (call: Call): string => {
  try {
    return requireNamespace(call.namespace);
  } catch (error) {
    throw about('failed publishing event', error);
  }
};

/** Puts containerd's words before the error of a filter; how a stream ends later is left as it is. */
async function* refusing(events: AsyncGenerator<SequencedEnvelope>): AsyncGenerator<SequencedEnvelope> {
  try {
    yield* events;
  } catch (error) {
    if (!(error instanceof CodedError) || error.code !== codes.invalidArgument) throw error;
    // Unknown, as in containerd.
    throw unknownError(`subscription error: failed parsing subscription filters: ${error.message}`, { cause: error });
  }
}

const sinceOf = (parts: EventsParts, call: Call): bigint | undefined => {
  const sequence = number(call, SINCE_KEY);
  const time = number(call, SINCE_TIME_KEY);
  const { published } = parts.events;
  if (time !== undefined) return (parts.events.since(time) ?? published + 1n) - 1n;
  if (sequence === 0n) return parts.events.oldest() - 1n;
  if (sequence !== undefined && sequence > published) {
    throw new CodedError(codes.outOfRange, `${SINCE_KEY}: the last event is ${published}: out of range`);
  }
  return sequence;
};

const number = (call: Call, key: string): bigint | undefined => {
  const text = call.metadata.get(key)?.[0];
  if (text === undefined) return undefined;
  if (!/^\d{1,19}$/.test(text)) throw invalidArgument(`${key}: ${JSON.stringify(text)} is no number`);
  return BigInt(text);
};
