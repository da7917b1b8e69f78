import { typeName } from '../../common/any.ts';
import { decodeBounded } from '../../common/bounded-decode.ts';
import { type Fields, mapField, present } from '../../common/filters.ts';
import * as payloads from '../../proto/gen/containerd/events/event_payloads.ts';
import { ImageCreate, ImageDelete, ImageUpdate } from '../../proto/gen/containerd/services/images/v1/images.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import type { LoggedEvent } from './log.ts';

/** What a filter sees of an event. The payload is read only for a filter that asks for `event.<field>`. */
export const eventFields = (event: LoggedEvent, payload: () => Any | undefined): Fields => {
  let decoded: Record<string, unknown> | undefined;
  return ([first = '', ...rest]) => {
    switch (first) {
      case 'namespace':
        return event.namespace;
      case 'topic':
        return event.topic;
      case 'event':
        decoded ??= decodePayload(payload()) ?? {};
        return messageField(decoded, rest);
      default:
        return undefined;
    }
  };
};

interface Decoder {
  decode(input: Uint8Array): unknown;
}

/** Full name of a message → its codec. Those of images have their service's package. */
const CODECS: ReadonlyMap<string, Decoder> = new Map<string, Decoder>([
  ...Object.entries(payloads).flatMap(([name, value]): [string, Decoder][] =>
    typeof value === 'object' && 'decode' in value ? [[`containerd.events.${name}`, value]] : [],
  ),
  ...Object.entries({ ImageCreate, ImageDelete, ImageUpdate }).map(([name, value]): [string, Decoder] => [
    `containerd.services.images.v1.${name}`,
    value,
  ]),
]);

/** Decodes an event that containerd knows; undefined for any other, and for bytes that are none or too much. */
export const decodePayload = (any: Any | undefined): Record<string, unknown> | undefined => {
  if (any === undefined) return undefined;
  try {
    const name = typeName(any);
    const codec = CODECS.get(name);
    return codec && (decodeBounded(codec, any.value, name) as Record<string, unknown>);
  } catch {
    return undefined;
  }
};

/** Texts, booleans, labels and what is nested, by the names of the .proto file; numbers and lists cannot be asked for. */
const messageField = (message: Record<string, unknown>, [first, ...rest]: readonly string[]): string | undefined => {
  if (first === undefined) return undefined;
  const key = first.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const value = Object.hasOwn(message, key) ? message[key] : undefined;
  if (typeof value === 'string') return present(value);
  if (typeof value === 'boolean') return String(value);
  if (value instanceof Map) return mapField(value as Map<string, string>, rest);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return messageField(value as Record<string, unknown>, rest);
};
