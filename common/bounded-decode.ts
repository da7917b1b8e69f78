import { BinaryReader } from '@bufbuild/protobuf/wire';
import { resourceExhausted } from './errdefs.ts';

/** A message's decoder as proto/gen has it. */
interface Decoder<T> {
  decode(input: BinaryReader | Uint8Array): T;
}

/**
 * Fields that one message of a peer may have, those of the messages within it among them. An empty message takes two
 * bytes on the wire and some hundred in memory: without a limit 16 MiB become 8 million objects, and seconds in which
 * nobody else is served. At the limit it is some 30 ms and 20 MB. A label is three fields.
 */
export const FIELDS_MAX = 128 << 10;

/** A field takes two reads of the reader at most: its tag, and its length or its number. */
const READS_MAX = 2 * FIELDS_MAX;

/**
 * Decodes what a peer has sent. ResourceExhausted: it has more than FIELDS_MAX fields; found while decoding, so nothing
 * beyond them has been built. `what` names the message. Of malformed bytes a plain Error, for the caller to give a code.
 */
export const decodeBounded = <T>(codec: Decoder<T>, bytes: Uint8Array, what: string): T => {
  // A read takes a byte at least.
  const reader = bytes.length <= READS_MAX ? new BinaryReader(bytes) : countingReader(bytes, what);
  const message = decodeFrom(codec, reader);
  // The generated code takes what can begin no field for the end of the message, and would pass over the rest.
  if (reader.pos !== bytes.length) throw new Error(`illegal tag before byte ${reader.pos} of ${bytes.length}`);
  return message;
};

const decodeFrom = <T>(codec: Decoder<T>, reader: BinaryReader): T => {
  try {
    return codec.decode(reader);
  } catch (error) {
    throw error instanceof RangeError ? new Error('unexpected EOF', { cause: error }) : error; // as Go says it
  }
};

/** Every tag and every length goes through `uint32`, in the generated code and in what the reader skips. */
const countingReader = (bytes: Uint8Array, what: string): BinaryReader => {
  const reader = new BinaryReader(bytes);
  const read = reader.uint32.bind(reader);
  let reads = 0;
  reader.uint32 = () => {
    reads += 1;
    if (reads > READS_MAX)
      throw resourceExhausted(`${what} of ${bytes.length} bytes has more than ${FIELDS_MAX} fields`);
    return read();
  };
  return reader;
};
