import { closeSync, constants, fstatSync, openSync, readFileSync, writeSync } from 'node:fs';
import { replaceFile } from '../common/atomic-file.ts';
import type { Any } from '../proto/gen/google/protobuf/any.ts';

/** An acknowledged outbox that is larger than this is written anew, bytes. */
const COMPACT_BYTES_MIN = 64 << 10;

/** A task event on its way to the daemon. */
export interface OutboxEvent {
  /** Its place in the shim's order; the first is 1n. */
  readonly sequence: bigint;
  /** Nanoseconds since 1970. */
  readonly timestamp: bigint;
  readonly topic: string;
  readonly payload: Any;
  /** Its exit record could not be written: it is known by this event alone. */
  readonly unrecorded?: boolean;
}

/**
 * The outbox on disk: one line of JSON for each event, and one for each acknowledgement. Appended only, so a crash can
 * cut no more than the last line, which then nobody had been told of.
 */
export class OutboxFile {
  readonly #path: string;
  #fd: number;
  #bytes: number;
  /** The file ends, or may end, in half a line: the next one must not be glued to it. */
  #torn: boolean;

  constructor(path: string) {
    this.#path = path;
    this.#fd = openAppend(path);
    this.#bytes = fstatSync(this.#fd).size;
    this.#torn = this.#bytes > 0;
  }

  /** What the file holds: the last sequence that was acknowledged, and the events after it. */
  read(): { acknowledged: bigint; events: OutboxEvent[] } {
    let acknowledged = 0n;
    const events: OutboxEvent[] = [];
    for (const line of readFileSync(this.#path, 'utf8').split('\n')) {
      const entry = parse(line);
      if (entry?.ack !== undefined) acknowledged = BigInt(entry.ack);
      else if (entry?.sequence !== undefined) events.push(decode({ ...entry, sequence: entry.sequence }));
    }
    return { acknowledged, events: events.filter((event) => event.sequence > acknowledged) };
  }

  append(event: OutboxEvent): void {
    this.#write({
      sequence: String(event.sequence),
      timestamp: String(event.timestamp),
      topic: event.topic,
      type: event.payload.typeUrl,
      value: Buffer.from(event.payload.value).toString('base64'),
      ...(event.unrecorded === true ? { unrecorded: true } : {}),
    });
  }

  /** `last`: nothing follows this sequence, so what is before it may go. */
  acknowledge(sequence: bigint, last: boolean): void {
    if (!last || this.#bytes < COMPACT_BYTES_MIN) return this.#write({ ack: String(sequence) });
    const line = `${JSON.stringify({ ack: String(sequence) })}\n`;
    replaceFile(this.#path, line);
    closeSync(this.#fd);
    this.#fd = openAppend(this.#path);
    this.#bytes = line.length;
    this.#torn = false;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #write(entry: Line): void {
    const line = Buffer.from(`${this.#torn ? '\n' : ''}${JSON.stringify(entry)}\n`);
    this.#torn = true;
    const written = writeSync(this.#fd, line);
    this.#bytes += written;
    this.#torn = written < line.length;
    if (this.#torn) throw new Error(`outbox took ${written} of ${line.length} bytes`);
  }
}

interface Line {
  readonly ack?: string;
  readonly sequence?: string;
  readonly timestamp?: string;
  readonly topic?: string;
  readonly type?: string;
  /** base64 */
  readonly value?: string;
  readonly unrecorded?: boolean;
}

const parse = (line: string): Line | undefined => {
  if (line === '') return undefined;
  try {
    return JSON.parse(line) as Line;
  } catch {
    return undefined; // the last line of a shim that was killed while it wrote
  }
};

const decode = (line: Line & { readonly sequence: string }): OutboxEvent => ({
  sequence: BigInt(line.sequence),
  timestamp: BigInt(line.timestamp ?? 0),
  topic: line.topic ?? '',
  payload: { typeUrl: line.type ?? '', value: Buffer.from(line.value ?? '', 'base64') },
  ...(line.unrecorded === true ? { unrecorded: true } : {}),
});

const openAppend = (path: string): number =>
  openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o600);
