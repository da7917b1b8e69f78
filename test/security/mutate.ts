import type { Random } from '../chaos/random.ts';
import { nested } from './wire-bytes.ts';

/** Bytes that are nothing. */
export const randomBytes = (random: Random, max: number): Buffer =>
  Buffer.from(Array.from({ length: random.between(0, max) }, () => random.between(0, 255)));

/** The same bytes with something wrong in them: changed, cut, repeated, in another place, or made of extremes. */
export const mutated = (random: Random, bytes: Buffer): Buffer => {
  let result = Buffer.from(bytes);
  for (let changes = random.between(1, 3); changes > 0 && result.length > 0; changes -= 1) {
    const at = random.between(0, result.length - 1);
    const slice = result.subarray(at, at + random.between(1, 16));
    switch (random.between(0, 5)) {
      case 0:
        result[at] = (result[at] ?? 0) ^ (1 << random.between(0, 7));
        break;
      case 1:
        result[at] = random.pick([0, 1, 0x7f, 0x80, 0xff]);
        break;
      case 2:
        result = Buffer.concat([result.subarray(0, at), randomBytes(random, 16), result.subarray(at)]);
        break;
      case 3:
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + slice.length)]);
        break;
      case 4:
        result = Buffer.concat([result.subarray(0, at), slice, slice, result.subarray(at)]);
        break;
      default:
        result = result.subarray(0, at);
    }
  }
  return result;
};

/** A protobuf message of any fields, some of them messages. */
export const randomMessage = (random: Random, depth = 0): Buffer =>
  Buffer.concat(
    Array.from({ length: random.between(0, 4) }, () => {
      const field = random.between(1, 12);
      const inner = depth < 4 && random.next() < 0.5 ? randomMessage(random, depth + 1) : randomBytes(random, 20);
      return random.next() < 0.8 ? nested(field, inner) : Buffer.from([field << 3, random.between(0, 127)]);
    }),
  );
