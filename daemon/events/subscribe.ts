import { setImmediate as nextTurn } from 'node:timers/promises';
import { CodedError, codes } from '../../common/errdefs.ts';
import { parseFilters } from '../../common/filters.ts';
import type { SequencedEnvelope } from '../../common/sequenced-envelope.ts';
import { timestampFromNanos } from '../../common/timestamp.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import { eventFields } from './fields.ts';
import type { EventLog, LoggedEvent } from './log.ts';
import { endedProcess, type ReplayCursors } from './replay.ts';

export interface SubscribeParts {
  readonly events: EventLog;
  readonly cursors: ReplayCursors;
  /** Whether this process of a task is still to be deleted. `execId` '' is the init. */
  readonly isUndeleted: (namespace: string, containerId: string, execId: string) => boolean;
}

export interface Subscription {
  readonly filters: readonly string[];
  /** Where to begin: behind this sequence. Without it: with what is published from now on. */
  readonly since?: bigint | undefined;
  /** When the subscriber's process was started, nanoseconds since 1970; undefined: long ago. */
  readonly subscriberSince?: bigint | undefined;
}

/** Events looked at in one go. In between, other calls have their turn. */
const BATCH = 64;

/**
 * The events that match, in the order of the log, until `signal` aborts. It reads the log at the pace of its consumer:
 * one that is slow falls behind on the disk and costs nobody anything. Throws OutOfRange when the log was trimmed past
 * the place where it was.
 */
export async function* subscribe(
  parts: SubscribeParts,
  { filters, since, subscriberSince = 0n }: Subscription,
  signal: AbortSignal,
): AsyncGenerator<SequencedEnvelope> {
  const matches = parseFilters(filters);
  const live = parts.events.published;
  const cursor = since === undefined ? parts.cursors.open(filters, live) : undefined;

  if (cursor !== undefined) {
    for await (const event of ended(parts, cursor.sequence, live)) {
      // What ended before dockerd was started, it did not miss: it asks for each task's state as it comes up, and
      // would deal with such an exit twice (seen with 20.10: a "die" for some of the containers being restored).
      if (event.timestampNanos < subscriberSince) continue;
      if (!matches(eventFields(event, () => event.payload))) continue;
      yield envelope(event, event.payload);
      cursor.advance(event.sequence);
    }
    cursor.advance(live);
  }

  for (let position = since ?? live; ;) {
    if (position < parts.events.published) await nextTurn(); // behind: a batch at a time
    await parts.events.wait(position, signal);
    const batch = parts.events.read(position, BATCH);
    // Sequences have no gaps, so a missing one has been trimmed.
    if (batch[0]?.sequence !== position + 1n) throw gone(position, parts.events.oldest());
    for (const event of batch) {
      position = event.sequence;
      const payload = (): Any | undefined => parts.events.payload(event.sequence);
      if (!matches(eventFields(event, payload))) continue;
      yield envelope(event, payload());
      cursor?.advance(event.sequence);
    }
  }
}

/** The exits and OOMs in (after, last] of processes that nobody has deleted yet. */
async function* ended(
  parts: SubscribeParts,
  after: bigint,
  last: bigint,
): AsyncGenerator<LoggedEvent & { readonly payload: Any }> {
  for (let position = after; position < last;) {
    await nextTurn();
    const batch = parts.events.read(position, BATCH);
    if (batch.length === 0) return;
    for (const event of batch) {
      if (event.sequence > last) return;
      position = event.sequence;
      if (event.topic !== '/tasks/exit' && event.topic !== '/tasks/oom') continue;
      const payload = parts.events.payload(event.sequence);
      const process = endedProcess(event.topic, payload);
      if (payload === undefined || process === undefined) continue;
      if (parts.isUndeleted(event.namespace, process.containerId, process.execId)) yield { ...event, payload };
    }
  }
}

const gone = (position: bigint, oldest: bigint): CodedError =>
  new CodedError(codes.outOfRange, `events ${position + 1n} to ${oldest - 1n} are no longer in the log: out of range`);

const envelope = (event: LoggedEvent, payload: Any | undefined): SequencedEnvelope => ({
  timestamp: timestampFromNanos(event.timestampNanos),
  namespace: event.namespace,
  topic: event.topic,
  event: payload === undefined || payload.typeUrl === '' ? undefined : payload,
  sequence: event.sequence,
});
