/** Bytes that mean the most work for the fewest of them, and the form in which messages contain each other. */

/** `bytes` of empty messages, strings or map entries, two bytes each, as field `field`. */
export const empties = (field: number, bytes: number): Buffer =>
  Buffer.alloc(bytes - (bytes % 2)).fill(Buffer.from([(field << 3) | 2, 0]));

/** A message, string or bytes as the field `field` of another message. */
export const nested = (field: number, message: Uint8Array): Buffer =>
  Buffer.concat([varint((field << 3) | 2), varint(message.length), message]);

const varint = (value: number): Buffer => {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
};
