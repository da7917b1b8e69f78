import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { Envelope } from '../proto/gen/containerd/types/types.ts';

/**
 * An event with its place in the daemon's log, so that a subscriber can say where it left off. On the wire it is
 * containerd's Envelope with one field more, which clients that do not know it pass over.
 */
export interface SequencedEnvelope extends Envelope {
  /** Absent when the daemon is a containerd. */
  sequence?: bigint;
}

/** gRPC metadata of a Subscribe: a sequence; what comes after it in the log is sent first. `0`: all that is kept. */
export const SINCE_KEY = 'holdfast-since';
/** The same by time, nanoseconds since 1970: from the first event that happened then or later. */
export const SINCE_TIME_KEY = 'holdfast-since-time';

/** Far from the numbers that containerd may use one day. */
const FIELD = 1000;

export const SequencedEnvelope = {
  encode(envelope: SequencedEnvelope, writer: BinaryWriter = new BinaryWriter()): BinaryWriter {
    Envelope.encode(envelope, writer);
    if (envelope.sequence !== undefined) writer.tag(FIELD, WireType.Varint).uint64(envelope.sequence);
    return writer;
  },

  decode(input: Uint8Array): SequencedEnvelope {
    const envelope: SequencedEnvelope = Envelope.decode(input);
    const reader = new BinaryReader(input);
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      if (field === FIELD && type === WireType.Varint) envelope.sequence = BigInt(reader.uint64());
      else reader.skip(type);
    }
    return envelope;
  },
};
