import { type Fields, mapField, present } from '../common/filters.ts';
import type { EventPayload } from './event-payload.ts';

/** What a filter sees of an event: `namespace`, `topic`, and `event.container_id` by the names of the .proto files. */
export const eventFields =
  (event: { readonly namespace: string; readonly topic: string; readonly payload: EventPayload }): Fields =>
  ([first = '', ...rest]) => {
    switch (first) {
      case 'namespace':
        return event.namespace;
      case 'topic':
        return event.topic;
      case 'event':
        return event.payload.type === 'unknown' ? undefined : fieldOf(event.payload.value, rest);
      default:
        return undefined;
    }
  };

/** Texts, booleans, labels and what is nested; numbers and lists cannot be asked for, as in containerd. */
const fieldOf = (message: object, [first, ...rest]: readonly string[]): string | undefined => {
  if (first === undefined) return undefined;
  const key = first.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const value: unknown = Object.hasOwn(message, key) ? message[key as keyof typeof message] : undefined;
  if (typeof value === 'string') return present(value);
  if (typeof value === 'boolean') return String(value);
  if (value instanceof Map) return mapField(value as ReadonlyMap<string, string>, rest); // all of protobuf's maps here
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? fieldOf(value, rest) : undefined;
};
