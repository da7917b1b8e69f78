import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FIELDS_MAX } from '../../common/bounded-decode.ts';
import { codes } from '../../common/errdefs.ts';
import { encodeFrame, FRAME_BYTES_MAX, frameFlags, frameTypes } from '../../common/ttrpc/frame.ts';
import { METADATA_PAIRS_MAX } from '../../common/ttrpc/metadata.ts';
import type { StringList } from '../../proto/gen/ttrpc/ttrpc.ts';
import { all, clientOf, LIMIT, serve, until, words, WordsDefinition, wordsPayload } from './ttrpc-harness.ts';

// What Go's servers do as well is in test/contract/ttrpc-server-contract.ts.

const END = frameFlags.remoteClosed | frameFlags.noData;

test('a stream id that does not rise is InvalidArgument on that stream, used before or not', LIMIT, async (t) => {
  const peer = await (await serve(t)).raw();
  peer.request(7, {});
  assert.equal((await peer.answer(7)).code, codes.ok);
  for (const id of [7, 5, 1]) {
    peer.request(id, {});
    assert.equal((await peer.answer(id)).code, codes.invalidArgument);
  }
  peer.request(9, {});
  assert.equal((await peer.answer(9)).code, codes.ok);
});

test('data on a stream that never was is InvalidArgument; on one that is over it is passed over', LIMIT, async (t) => {
  const peer = await (await serve(t)).raw();
  peer.send({ streamId: 5, type: frameTypes.data, payload: wordsPayload('x') });
  assert.equal((await peer.answer(5)).code, codes.invalidArgument);
  peer.request(7, {});
  assert.equal((await peer.answer(7)).code, codes.ok);
  peer.send({ streamId: 7, type: frameTypes.data, payload: wordsPayload('x') });
  peer.request(9, {});
  assert.equal((await peer.answer(9)).code, codes.ok);
});

test('data for a call that takes one message, or after the end, fails that call', LIMIT, async (t) => {
  const never = (): Promise<never> => new Promise(() => undefined);
  const peer = await (await serve(t, { echo: never, collect: never })).raw();
  peer.request(1, {});
  peer.send({ streamId: 1, type: frameTypes.data, payload: wordsPayload('x') });
  assert.equal((await peer.answer(1)).code, codes.invalidArgument);
  peer.request(3, { method: 'Collect' }, frameFlags.remoteOpen);
  peer.send({ streamId: 3, type: frameTypes.data, flags: END });
  peer.send({ streamId: 3, type: frameTypes.data, payload: wordsPayload('x') });
  assert.equal((await peer.answer(3)).code, codes.invalidArgument);
});

test('an end on a call that takes one message does no harm', LIMIT, async (t) => {
  const peer = await (await serve(t)).raw();
  peer.request(1, { method: 'Split', payload: wordsPayload('a') }, frameFlags.remoteOpen);
  peer.send({ streamId: 1, type: frameTypes.data, flags: END });
  assert.equal((await peer.frame()).type, frameTypes.data);
});

test('garbage in the middle of a stream fails that stream', LIMIT, async (t) => {
  const peer = await (await serve(t)).raw();
  peer.request(1, { method: 'Collect' }, frameFlags.remoteOpen);
  peer.send({ streamId: 1, type: frameTypes.data, payload: Buffer.from([0x0a, 0xff]) });
  assert.equal((await peer.answer(1)).code, codes.internal);
  peer.request(3, {});
  assert.equal((await peer.answer(3)).code, codes.ok);
});

test('an oversized message of a stream fails that stream', LIMIT, async (t) => {
  const peer = await (await serve(t)).raw();
  peer.request(1, { method: 'Collect' }, frameFlags.remoteOpen);
  peer.send({ streamId: 1, type: frameTypes.data, payload: Buffer.alloc(FRAME_BYTES_MAX + 1) });
  assert.equal((await peer.answer(1)).code, codes.resourceExhausted);
  peer.request(3, {});
  assert.equal((await peer.answer(3)).code, codes.ok);
});

test('too much metadata is ResourceExhausted, and the connection lives on', LIMIT, async (t) => {
  const peer = await (await serve(t)).raw();
  const metadata = Array.from({ length: METADATA_PAIRS_MAX + 1 }, () => ({ key: 'k', value: 'v' }));
  peer.request(1, { metadata });
  assert.equal((await peer.answer(1)).code, codes.resourceExhausted);
  peer.request(3, {});
  assert.equal((await peer.answer(3)).code, codes.ok);
});

test('a request of nothing but fields is ResourceExhausted, and the connection lives on', LIMIT, async (t) => {
  const peer = await (await serve(t)).raw();
  const emptyWords = Buffer.alloc(2 * (FIELDS_MAX + 1)).fill(Buffer.from([0x0a, 0]));
  peer.request(1, { payload: emptyWords });
  const refused = await peer.answer(1);
  assert.equal(refused.code, codes.resourceExhausted);
  assert.equal(refused.message, `request of Echo of ${emptyWords.length} bytes has more than ${FIELDS_MAX} fields`);
  const emptyMetadata = Buffer.alloc(2 * (FIELDS_MAX + 1)).fill(Buffer.from([0x2a, 0]));
  peer.send({ streamId: 3, payload: emptyMetadata });
  assert.equal((await peer.answer(3)).code, codes.resourceExhausted);
  peer.request(5, { method: 'Collect' }, frameFlags.remoteOpen);
  peer.send({ streamId: 5, type: frameTypes.data, payload: emptyWords });
  assert.equal((await peer.answer(5)).code, codes.resourceExhausted);
  peer.request(7, { payload: wordsPayload('still') });
  assert.deepEqual((await peer.answer(7)).list, ['still']);
});

test('a connection that ends within a frame is closed at once, its calls are aborted', LIMIT, async (t) => {
  let aborted = false;
  const echo = (_: unknown, { signal }: { signal: AbortSignal }): Promise<never> => {
    signal.addEventListener('abort', () => (aborted = true));
    return new Promise(() => undefined);
  };
  const { server, raw } = await serve(t, { echo });
  const peer = await raw();
  peer.request(1, {});
  peer.bytes(
    encodeFrame({ streamId: 3, type: frameTypes.request, flags: 0, payload: Buffer.alloc(100) }).subarray(0, 50),
  );
  peer.socket.end();
  await peer.closed;
  await until(() => server.connections === 0 && aborted);
});

const nonsense = fc.record({
  streamId: fc.oneof(fc.nat(20), fc.nat(2 ** 31)),
  type: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.nat(255)),
  flags: fc.nat(7),
  payload: fc.uint8Array({ maxLength: 60 }),
});

test('a server that is told any nonsense still answers on the next connection, and keeps nothing', LIMIT, async (t) => {
  const served = await serve(t);
  const ask = async (frames: Uint8Array[]): Promise<void> => {
    const fuzzer = await served.raw();
    for (const bytes of frames) fuzzer.bytes(bytes);
    fuzzer.socket.end();
    await fuzzer.closed;
    const peer = await served.raw();
    peer.request(1, { payload: wordsPayload('still') });
    assert.deepEqual((await peer.answer(1)).list, ['still']);
    peer.socket.destroy();
    await until(() => served.server.connections === 0);
  };
  const frames = fc.array(nonsense.map(encodeFrame), { maxLength: 50 });
  const bytes = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 });
  await fc.assert(fc.asyncProperty(fc.oneof(frames, bytes), ask), { numRuns: 300 });
});

test('a client that is told any nonsense still gets the answer on a stream that it waits for', LIMIT, async (t) => {
  const { client, peer } = await clientOf(t);
  let streamId = -1;
  const ask = async (
    frames: { streamId: number; type: number; flags: number; payload: Uint8Array }[],
  ): Promise<void> => {
    const call = client.call(WordsDefinition, 'echo', words('question'));
    streamId += 2;
    await peer.frame();
    for (const frame of frames) if (frame.streamId !== streamId) peer.send(frame);
    peer.send({ streamId, type: frameTypes.response, payload: answerOf('answer') });
    assert.deepEqual(await call, words('answer'));
  };
  await fc.assert(fc.asyncProperty(fc.array(nonsense, { maxLength: 30 }), ask), { numRuns: 300 });
});

for (const [what, frame, code] of [
  ['data for a call', { type: frameTypes.data, payload: wordsPayload('x') }, codes.unknown],
  ['a request', { type: frameTypes.request }, codes.unknown],
  ['a response that is no protobuf', { type: frameTypes.response, payload: Buffer.from([0x0a, 0xff]) }, codes.internal],
  [
    'a message that is no protobuf',
    { type: frameTypes.response, payload: Buffer.from([0x12, 2, 0x0a, 0xff]) },
    codes.internal,
  ],
  [
    'an oversized response',
    { type: frameTypes.response, payload: Buffer.alloc(FRAME_BYTES_MAX + 1) },
    codes.resourceExhausted,
  ],
] as const) {
  test(`${what} fails the client's call on that stream and no other`, LIMIT, async (t) => {
    const { client, peer } = await clientOf(t);
    const hurt = client.call(WordsDefinition, 'echo', words());
    const other = client.call(WordsDefinition, 'echo', words());
    peer.send({ streamId: 1, ...frame });
    await assert.rejects(hurt, { code });
    peer.send({ streamId: 3, type: frameTypes.response, payload: answerOf('fine') });
    assert.deepEqual(await other, words('fine'));
  });
}

test('data on a stream without answers, or of an unknown type, fails that stream', LIMIT, async (t) => {
  const { client, peer } = await clientOf(t);
  const collect = client.stream(WordsDefinition, 'collect');
  const chat = client.stream(WordsDefinition, 'chat');
  peer.send({ streamId: 1, type: frameTypes.data, payload: wordsPayload('x') });
  peer.send({ streamId: 3, type: 77 });
  await assert.rejects(all<StringList>(collect), { code: codes.unknown });
  await assert.rejects(all<StringList>(chat), { code: codes.unknown });
});

test('a server that ends within a frame fails the calls under way, and the cause says so', LIMIT, async (t) => {
  const { client, peer } = await clientOf(t);
  const call = client.call(WordsDefinition, 'echo', words());
  await peer.frame();
  peer.bytes(Buffer.from([0, 0, 0, 9, 0]));
  peer.socket.end();
  await assert.rejects(call, { code: codes.unavailable, cause: new Error('the peer ended within a frame') });
});

/** A response document with one word. */
const answerOf = (word: string): Buffer => {
  const payload = wordsPayload(word);
  return Buffer.concat([Buffer.from([0x12, payload.length]), payload]);
};
