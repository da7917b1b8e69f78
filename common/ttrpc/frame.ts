import { type CodedError, resourceExhausted } from '../errdefs.ts';

/** Bytes before a payload: length u32, stream id u32, type u8, flags u8, big endian. */
export const HEADER_BYTES = 10;

/** Largest payload, bytes. A larger one is refused with ResourceExhausted before it is sent. Source: ttrpc, message length. */
export const FRAME_BYTES_MAX = 4 << 20;

export const frameTypes = { request: 1, response: 2, data: 3 } as const;

export const frameFlags = {
  /** The sender sends no more on this stream. */
  remoteClosed: 1,
  /** A request: data frames follow. */
  remoteOpen: 2,
  /** The payload is empty because there is none, not because a message is. */
  noData: 4,
} as const;

export interface Frame {
  readonly streamId: number;
  readonly type: number;
  readonly flags: number;
  readonly payload: Uint8Array;
  /** Set for a frame over the limit, whose payload was thrown away as it came: the length that it had, bytes. */
  readonly oversizedBytes?: number;
}

/** One buffer with header and payload, ready for the socket. */
export const encodeFrame = (frame: Frame): Buffer => {
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + frame.payload.length);
  buffer.writeUInt32BE(frame.payload.length, 0);
  buffer.writeUInt32BE(frame.streamId, 4);
  buffer.writeUInt8(frame.type, 8);
  buffer.writeUInt8(frame.flags, 9);
  buffer.set(frame.payload, HEADER_BYTES);
  return buffer;
};

/** The refusal of a payload that is over the limit, in whichever direction; the words are those of Go's peers. */
export const oversized = (bytes: number): CodedError =>
  resourceExhausted(`message length ${bytes} exceed maximum message size of ${FRAME_BYTES_MAX}`);

/** The payload of a frame that has none. */
export const EMPTY = new Uint8Array();

/**
 * Cuts a byte stream into frames. Chunks may end anywhere. A payload that lies within one chunk is a view of it, not a
 * copy. At most one frame's payload is held; the payload of an oversized frame is not held at all.
 */
export class FrameDecoder {
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  /** The payload under way, if it began in an earlier chunk. */
  #payload: Buffer | undefined;
  #payloadBytes = 0;
  /** Bytes of an oversized payload that are still to come. */
  #skipBytes = 0;

  /** True between frames: an end of the stream here cuts nothing off. */
  get idle(): boolean {
    return this.#headerBytes === 0;
  }

  *push(chunk: Buffer): Generator<Frame> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#headerBytes < HEADER_BYTES) {
        const take = Math.min(HEADER_BYTES - this.#headerBytes, chunk.length - at);
        chunk.copy(this.#header, this.#headerBytes, at, at + take);
        this.#headerBytes += take;
        at += take;
        if (this.#headerBytes < HEADER_BYTES) return;
        const length = this.#length;
        if (length === 0) yield this.#finish(EMPTY);
        else if (length > FRAME_BYTES_MAX) this.#skipBytes = length;
        continue;
      }
      const left = chunk.length - at;
      if (this.#skipBytes > 0) {
        const take = Math.min(this.#skipBytes, left);
        this.#skipBytes -= take;
        at += take;
        if (this.#skipBytes === 0) yield this.#finish(EMPTY, this.#length);
        continue;
      }
      const length = this.#length;
      if (this.#payload === undefined && left >= length) {
        yield this.#finish(chunk.subarray(at, (at += length)));
        continue;
      }
      this.#payload ??= Buffer.allocUnsafe(length);
      const take = Math.min(length - this.#payloadBytes, left);
      chunk.copy(this.#payload, this.#payloadBytes, at, at + take);
      this.#payloadBytes += take;
      at += take;
      if (this.#payloadBytes === length) yield this.#finish(this.#payload);
    }
  }

  get #length(): number {
    return this.#header.readUInt32BE(0);
  }

  #finish(payload: Uint8Array, oversizedBytes?: number): Frame {
    const header = this.#header;
    const frame = { streamId: header.readUInt32BE(4), type: header.readUInt8(8), flags: header.readUInt8(9), payload };
    this.#headerBytes = 0;
    this.#payload = undefined;
    this.#payloadBytes = 0;
    return oversizedBytes === undefined ? frame : { ...frame, oversizedBytes };
  }
}
