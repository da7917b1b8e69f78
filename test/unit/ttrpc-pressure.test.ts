import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codes } from '../../common/errdefs.ts';
import { UNREAD_BYTES_MAX, UNREAD_BYTES_PAUSE } from '../../common/ttrpc/connection.ts';
import { FRAME_BYTES_MAX, frameFlags } from '../../common/ttrpc/frame.ts';
import { STREAM_UNREAD_BYTES_MAX } from '../../common/ttrpc/stream.ts';
import type { StringList } from '../../proto/gen/ttrpc/ttrpc.ts';
import { all, clientOf, LIMIT, serve, until, words, WordsDefinition, wordsPayload } from './ttrpc-harness.ts';

const MIB = 'x'.repeat(1 << 20);

/** Sends as much as it is let, and counts. */
const flood = (limit = Infinity) => {
  const sent = { bytes: 0 };
  const split = async function* (): AsyncGenerator<StringList> {
    while (sent.bytes < limit) {
      sent.bytes += MIB.length;
      yield words(MIB);
    }
  };
  return { sent, split };
};

test('a stream that its client does not read fails alone; calls on the same connection go on', LIMIT, async (t) => {
  const client = await (await serve(t, { split: flood(8 * STREAM_UNREAD_BYTES_MAX).split })).client();
  const ignored = client.stream(WordsDefinition, 'split', { first: words() });
  for (let i = 0; i < 200; i += 1) {
    assert.deepEqual(await client.call(WordsDefinition, 'echo', words(String(i))), words(String(i)));
  }
  await assert.rejects(all(ignored), { code: codes.resourceExhausted });
});

test('a stream that its handler does not read fails alone; calls on the same connection go on', LIMIT, async (t) => {
  const collect = (): Promise<never> => new Promise(() => undefined);
  const client = await (await serve(t, { collect })).client();
  const ignored = client.stream(WordsDefinition, 'collect');
  for (let bytes = 0; bytes <= STREAM_UNREAD_BYTES_MAX; bytes += MIB.length) {
    await ignored.send(words(MIB)).catch(() => undefined);
  }
  await assert.rejects(all(ignored), { code: codes.resourceExhausted });
  assert.deepEqual(await client.call(WordsDefinition, 'echo', words('on')), words('on'));
});

test('a stream that is read slowly loses nothing, however long it is', LIMIT, async (t) => {
  const { split, sent } = flood(64 << 20);
  const client = await (await serve(t, { split })).client();
  let read = 0;
  for await (const { list } of client.stream(WordsDefinition, 'split', { first: words() })) {
    read += list[0]?.length ?? 0;
    if (read % (8 << 20) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(read, sent.bytes);
});

test('a handler of a stream is held back while the peer takes nothing', LIMIT, async (t) => {
  const { split, sent } = flood();
  const peer = await (await serve(t, { split })).raw();
  peer.socket.pause();
  peer.request(1, { method: 'Split' }, frameFlags.remoteClosed);
  await until(() => sent.bytes > 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(sent.bytes <= UNREAD_BYTES_PAUSE + 2 * MIB.length, `${sent.bytes} bytes`);
});

test('a client that sends is held back while the peer takes nothing, until its time is up', LIMIT, async (t) => {
  const { client, peer } = await clientOf(t);
  peer.socket.pause();
  const stream = client.stream(WordsDefinition, 'collect', { timeoutMs: 200 });
  const sending = async (): Promise<void> => {
    for (;;) await stream.send(words(MIB));
  };
  await assert.rejects(sending(), { code: codes.deadlineExceeded });
});

test('a server reads no more requests of a peer that does not read its answers', LIMIT, async (t) => {
  const answer = words('x'.repeat(64 << 10));
  let runs = 0;
  const echo = async (): Promise<StringList> => {
    runs += 1;
    return answer;
  };
  const peer = await (await serve(t, { echo })).raw();
  peer.socket.pause();
  for (let i = 0; i < 2000; i += 1) peer.request(2 * i + 1, { payload: wordsPayload('x'.repeat(1000)) });
  await until(() => runs > 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  // Some sixty requests lie in one chunk of the socket, and the socket takes some answers.
  assert.ok(runs < 300, `${runs} calls`);
  peer.socket.resume();
  await until(() => runs === 2000);
});

test('many large answers at once all arrive at a client that reads', LIMIT, async (t) => {
  const client = await (await serve(t, { echo: async () => words(MIB) })).client();
  const calls = Array.from({ length: 2 * (UNREAD_BYTES_MAX / MIB.length) }, () =>
    client.call(WordsDefinition, 'echo', words()),
  );
  const settled = await Promise.allSettled(calls);
  assert.deepEqual(new Set(settled.map(({ status }) => status)), new Set(['fulfilled']));
});

test(
  'calls wait while the peer does not read, each until its own time is up, and go on when it does',
  LIMIT,
  async (t) => {
    const { client, peer } = await clientOf(t);
    peer.socket.pause();
    const big = words('x'.repeat(FRAME_BYTES_MAX - 100));
    const code = (error: { code: number }): number => error.code;
    const call = (timeoutMs: number) => client.call(WordsDefinition, 'echo', big, { timeoutMs }).catch(code);
    const outcomes = await Promise.all(Array.from({ length: 100 }, () => call(300)));
    assert.deepEqual(new Set(outcomes), new Set([codes.deadlineExceeded]));
    const waiting = call(10_000);
    peer.socket.resume();
    const ids = [];
    for (let i = 0; i < 3; i += 1) ids.push((await peer.frame()).streamId);
    assert.deepEqual(ids, [1, 3, 5], 'those that waited in vain were never sent');
    client.close();
    assert.equal(await waiting, codes.unavailable);
  },
);

test('requests that cannot wait are refused when a peer has left too much unread', LIMIT, async (t) => {
  const { client, peer } = await clientOf(t);
  peer.socket.pause();
  const open = (): void => {
    for (let i = 0; i <= UNREAD_BYTES_MAX / MIB.length; i += 1) {
      client.stream(WordsDefinition, 'split', { first: words(MIB) });
    }
  };
  assert.throws(open, { code: codes.resourceExhausted });
  assert.equal(client.open, true);
});
