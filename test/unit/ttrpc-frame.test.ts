import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { codes } from '../../common/errdefs.ts';
import {
  encodeFrame,
  type Frame,
  FRAME_BYTES_MAX,
  FrameDecoder,
  frameTypes,
  HEADER_BYTES,
  oversized,
} from '../../common/ttrpc/frame.ts';

const anyFrame: fc.Arbitrary<Frame> = fc.record({
  streamId: fc.nat(2 ** 32 - 1),
  type: fc.nat(255),
  flags: fc.nat(255),
  payload: fc.uint8Array({ maxLength: 300 }),
});

test('a frame is a header of ten bytes, big endian, and its payload', () => {
  const bytes = encodeFrame({ streamId: 0x01020305, type: frameTypes.data, flags: 5, payload: Buffer.from('hi') });
  assert.equal(bytes.toString('hex'), `00000002010203050305${Buffer.from('hi').toString('hex')}`);
});

test('frames come out as they went in, wherever the stream of bytes is cut', () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(fc.array(anyFrame, { maxLength: 20 }), cuts, (frames, sizes) => {
      const decoder = new FrameDecoder();
      const seen = chunksOf(Buffer.concat(frames.map(encodeFrame)), sizes).flatMap((chunk) => [...decoder.push(chunk)]);
      assert.deepEqual(seen.map(plain), frames.map(plain));
      assert.equal(decoder.idle, true);
    }),
  );
});

test('a frame that is cut off gives nothing, and the decoder knows that it waits for the rest', () => {
  fc.assert(
    fc.property(anyFrame, fc.nat(), (frame, where) => {
      const bytes = encodeFrame(frame);
      const cut = 1 + (where % (bytes.length - 1));
      const decoder = new FrameDecoder();
      assert.deepEqual([...decoder.push(bytes.subarray(0, cut))], []);
      assert.equal(decoder.idle, false);
    }),
  );
});

test('an oversized frame is thrown away as it comes, said to be so, and the next frame is whole', () => {
  const length = FRAME_BYTES_MAX + 1;
  const header = encodeFrame({ streamId: 7, type: frameTypes.data, flags: 0, payload: new Uint8Array() });
  header.writeUInt32BE(length, 0);
  const next = encodeFrame({ streamId: 9, type: frameTypes.data, flags: 0, payload: Buffer.from('next') });
  const decoder = new FrameDecoder();
  const before = process.memoryUsage().arrayBuffers;
  const frames = chunksOf(Buffer.concat([header, Buffer.alloc(length), next]), [65_536]).flatMap((chunk) => [
    ...decoder.push(chunk),
  ]);
  assert.ok(process.memoryUsage().arrayBuffers - before < 3 * length, 'only the test holds the bytes');
  assert.deepEqual(
    frames.map(({ streamId, oversizedBytes, payload }) => [streamId, oversizedBytes, payload.length]),
    [
      [7, length, 0],
      [9, undefined, 4],
    ],
  );
});

test('the largest frame there may be is no oversized one', () => {
  const frame = { streamId: 1, type: frameTypes.data, flags: 0, payload: Buffer.alloc(FRAME_BYTES_MAX, 1) };
  const [seen] = new FrameDecoder().push(encodeFrame(frame));
  assert.equal(seen?.oversizedBytes, undefined);
  assert.equal(seen?.payload.length, FRAME_BYTES_MAX);
});

test('a payload that lies within one chunk is a view of it, not a copy', () => {
  const chunk = encodeFrame({ streamId: 1, type: frameTypes.data, flags: 0, payload: Buffer.from('here') });
  const [frame] = new FrameDecoder().push(chunk);
  chunk.write('gone', HEADER_BYTES);
  assert.equal(Buffer.from(frame?.payload ?? []).toString(), 'gone');
});

test('what is oversized is ResourceExhausted, in the words of Go peers', () => {
  assert.equal(oversized(4194305).code, codes.resourceExhausted);
  assert.equal(oversized(4194305).message, 'message length 4194305 exceed maximum message size of 4194304');
});

/** Buffers of the given sizes in turn, again and again, until the bytes are used up. */
const chunksOf = (bytes: Buffer, sizes: readonly number[]): Buffer[] => {
  const chunks: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
};

const plain = (frame: Frame): unknown => ({ ...frame, payload: Buffer.from(frame.payload).toString('hex') });
