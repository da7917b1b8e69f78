import type { Event } from '../../client/events.ts';
import { formatNanos } from '../../common/timestamp.ts';
import { json } from './json.ts';
import { plain } from './plain.ts';

/** `417 2026-03-01T10:00:00.123456789Z default /tasks/exit container_id=web id=web pid=812 exit_status=7` */
export const eventLine = (event: Event): string => {
  const { sequence, timestampNanos, namespace, topic, payload } = event;
  const head = [sequence === undefined ? '-' : String(sequence), formatNanos(timestampNanos), namespace, topic];
  const fields =
    payload.type === 'unknown'
      ? [`type=${payload.value?.typeUrl ?? ''}`]
      : Object.entries(payload.value).flatMap(field);
  return `${plain([...head, ...fields].join(' '))}\n`;
};

/** One line of JSON; the fields of the event have the names that filters know them by. */
export const eventJson = ({ sequence, timestampNanos, namespace, topic, payload }: Event): string =>
  json({
    sequence,
    timestamp: formatNanos(timestampNanos),
    namespace,
    topic,
    type: payload.type === 'unknown' ? payload.value?.typeUrl : payload.type,
    event: payload.type === 'unknown' ? payload.value?.value : protoNames(payload.value),
  });

/** What is set, if it fits on a line: texts, numbers and times. */
const field = ([name, value]: readonly [string, unknown]): string[] => {
  const key = protoName(name);
  if (isTimestamp(value)) return [`${key}=${timeOf(value)}`];
  if (typeof value === 'string' && value !== '')
    return [`${key}=${/[\s"]/.test(value) ? JSON.stringify(value) : value}`];
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
    ? [`${key}=${value}`]
    : [];
};

const protoNames = (value: unknown): unknown => {
  if (isTimestamp(value)) return timeOf(value);
  if (Array.isArray(value)) return value.map(protoNames);
  if (typeof value !== 'object' || value === null || value instanceof Map || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [protoName(name), protoNames(inner)]));
};

const protoName = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const isTimestamp = (value: unknown): value is { readonly seconds: bigint; readonly nanos: number } =>
  typeof value === 'object' && value !== null && 'seconds' in value && 'nanos' in value;

const timeOf = ({ seconds, nanos }: { readonly seconds: bigint; readonly nanos: number }): string =>
  formatNanos(seconds * 1_000_000_000n + BigInt(nanos));
