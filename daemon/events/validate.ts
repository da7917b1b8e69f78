import { about, invalidArgument } from '../../common/errdefs.ts';
import { checkIdentifier } from '../../common/identifiers.ts';
import { GO_ZERO_TIME_SECONDS, nanosFromTimestamp } from '../../common/timestamp.ts';
import type { Envelope } from '../../proto/gen/containerd/types/types.ts';
import type { NewEvent } from './log.ts';

/** Refuses what is no topic: `/` and identifiers with `/` between them. */
export const checkTopic = (topic: string): string => {
  try {
    if (topic === '') throw invalidArgument('must not be empty');
    if (!topic.startsWith('/')) throw invalidArgument("must start with '/'");
    if (topic.length === 1) throw invalidArgument('must have at least one component');
    for (const component of topic.slice(1).split('/')) checkComponent(component);
    return topic;
  } catch (error) {
    throw about(`envelope topic ${JSON.stringify(topic)}`, error);
  }
};

const checkComponent = (component: string): void => {
  try {
    checkIdentifier(component);
  } catch (error) {
    throw about(`failed validation on component ${JSON.stringify(component)}`, error);
  }
};

/** An event that somebody else forwards carries its own namespace and time. */
export const eventFromEnvelope = (envelope: Envelope | undefined): NewEvent => {
  const { namespace = '', topic = '', timestamp, event } = envelope ?? {};
  try {
    checkIdentifier(namespace);
  } catch (error) {
    throw about('event envelope has invalid namespace', error);
  }
  checkTopic(topic);
  if (timestamp === undefined || timestamp.seconds === GO_ZERO_TIME_SECONDS) {
    throw invalidArgument('timestamp must be set on forwarded event');
  }
  return {
    namespace,
    topic,
    timestampNanos: nanosFromTimestamp(timestamp),
    payload: event ?? { typeUrl: '', value: Buffer.alloc(0) },
  };
};
