import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alreadyExists, type CodedError, codes } from '../../common/errdefs.ts';
import { FRAME_BYTES_MAX, frameFlags, frameTypes } from '../../common/ttrpc/frame.ts';
import type { StringList } from '../../proto/gen/ttrpc/ttrpc.ts';
import { all, clientOf, LIMIT, serve, until, words, WordsDefinition, wordsPayload } from './ttrpc-harness.ts';

const END = frameFlags.remoteClosed | frameFlags.noData;

test('a client stream: many messages, one answer', LIMIT, async (t) => {
  const client = await (await serve(t)).client();
  const stream = client.stream(WordsDefinition, 'collect');
  for (const word of ['a', 'b', 'c']) await stream.send(words(word));
  stream.closeSend();
  assert.deepEqual(await all(stream), [words('a', 'b', 'c')]);
});

test('a server stream: one message, many answers', LIMIT, async (t) => {
  const client = await (await serve(t)).client();
  const stream = client.stream(WordsDefinition, 'split', { first: words('a', 'b', '') });
  assert.deepEqual(await all(stream), [words('a'), words('b'), words('')]);
});

test('a stream both ways answers each message before the next is sent', LIMIT, async (t) => {
  const client = await (await serve(t)).client();
  const stream = client.stream(WordsDefinition, 'chat');
  const answers = stream[Symbol.asyncIterator]();
  for (const word of ['a', 'b']) {
    await stream.send(words(word));
    assert.deepEqual((await answers.next()).value, words(word));
  }
  stream.closeSend();
  assert.equal((await answers.next()).done, true);
});

test(
  'on the wire: the request says whether more comes, the last frame of each side that nothing does',
  LIMIT,
  async (t) => {
    const { client, peer } = await clientOf(t);
    client.stream(WordsDefinition, 'split', { first: words('a') });
    assert.deepEqual(flagsOf(await peer.frame()), [frameTypes.request, frameFlags.remoteClosed]);
    const chat = client.stream(WordsDefinition, 'chat');
    await chat.send(words());
    chat.closeSend();
    assert.deepEqual(flagsOf(await peer.frame()), [frameTypes.request, frameFlags.remoteOpen]);
    assert.deepEqual(flagsOf(await peer.frame()), [frameTypes.data, 0]);
    assert.deepEqual(flagsOf(await peer.frame()), [frameTypes.data, END]);

    const raw = await (await serve(t)).raw();
    raw.request(1, { method: 'Split', payload: wordsPayload('a') }, frameFlags.remoteClosed);
    assert.deepEqual(flagsOf(await raw.frame()), [frameTypes.data, 0]);
    assert.deepEqual(flagsOf(await raw.frame()), [frameTypes.data, END]);
  },
);

test('data of no length is an empty message; with the flag for no data it is none', LIMIT, async (t) => {
  const peer = await (
    await serve(t, { collect: async (requests) => words(String((await all(requests)).length)) })
  ).raw();
  peer.request(1, { method: 'Collect' }, frameFlags.remoteOpen);
  peer.send({ type: frameTypes.data, flags: 0 });
  peer.send({ type: frameTypes.data, flags: frameFlags.noData });
  peer.send({ type: frameTypes.data, flags: END });
  assert.deepEqual((await peer.answer(1)).list, ['1']);
});

test('a last message may come with the end, and a first one with the request', LIMIT, async (t) => {
  const peer = await (await serve(t)).raw();
  peer.request(1, { method: 'Collect', payload: wordsPayload('first') }, frameFlags.remoteOpen);
  peer.send({ type: frameTypes.data, flags: frameFlags.remoteClosed, payload: wordsPayload('last') });
  assert.deepEqual((await peer.answer(1)).list, ['first', 'last']);
  peer.request(3, { method: 'Collect', payload: wordsPayload('only') }, frameFlags.remoteClosed);
  assert.deepEqual((await peer.answer(3)).list, ['only']);
});

test('an error in the middle of a stream comes after what was sent before it', LIMIT, async (t) => {
  const split = async function* (): AsyncGenerator<StringList> {
    yield words('a');
    throw alreadyExists('word', 'b');
  };
  const client = await (await serve(t, { split })).client();
  const answers = client.stream(WordsDefinition, 'split', { first: words() })[Symbol.asyncIterator]();
  assert.deepEqual((await answers.next()).value, words('a'));
  await assert.rejects(answers.next(), { code: codes.alreadyExists, message: 'word "b": already exists' });
});

test(
  'a server that answers before it has read everything ends the stream, and sending on it is refused',
  LIMIT,
  async (t) => {
    const client = await (await serve(t, { collect: async () => words('enough') })).client();
    const stream = client.stream(WordsDefinition, 'collect');
    assert.deepEqual(await all(stream), [words('enough')]);
    await assert.rejects(stream.send(words()), { code: codes.failedPrecondition });
  },
);

test(
  'sending on a stream that has failed gives that failure; a stream of answers takes no messages',
  LIMIT,
  async (t) => {
    const collect = async (): Promise<never> => {
      throw alreadyExists('word', 'a');
    };
    const client = await (await serve(t, { collect })).client();
    const failed = client.stream(WordsDefinition, 'collect');
    await assert.rejects(all(failed), { code: codes.alreadyExists });
    await assert.rejects(failed.send(words()), { code: codes.alreadyExists });
    const split = client.stream(WordsDefinition, 'split', { first: words() });
    await assert.rejects(split.send(words()), { code: codes.failedPrecondition });
  },
);

test('a timeout ends a stream at both ends, though neither reads nor heeds anything', LIMIT, async (t) => {
  let reason: unknown;
  const chat = async function* (requests: AsyncIterable<StringList>, { signal }: { signal: AbortSignal }) {
    signal.addEventListener('abort', () => (reason = signal.reason));
    yield* requests;
    await new Promise(() => undefined);
  };
  const client = await (await serve(t, { chat })).client();
  const stream = client.stream(WordsDefinition, 'chat', { timeoutMs: 30 });
  await assert.rejects(all(stream), { code: codes.deadlineExceeded });
  await until(() => reason !== undefined);
  assert.equal((reason as CodedError).code, codes.deadlineExceeded);
});

test('a handler that waits for messages is woken when its caller is gone', LIMIT, async (t) => {
  let ended: unknown;
  const collect = async (requests: AsyncIterable<StringList>): Promise<StringList> => {
    await all(requests).catch((error: unknown) => (ended = error));
    return words();
  };
  const served = await serve(t, { collect });
  const client = await served.client();
  await client.stream(WordsDefinition, 'collect').send(words('a'));
  await until(() => served.server.connections === 1);
  client.close();
  await until(() => ended !== undefined);
  assert.equal((ended as CodedError).code, codes.unavailable);
});

test('a generator whose caller is gone is returned, so that it can clean up', LIMIT, async (t) => {
  let cleaned = false;
  const split = async function* (): AsyncGenerator<StringList> {
    try {
      for (;;) {
        yield words('tick');
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    } finally {
      cleaned = true;
    }
  };
  const client = await (await serve(t, { split })).client();
  const answers = client.stream(WordsDefinition, 'split', { first: words() })[Symbol.asyncIterator]();
  await answers.next();
  client.close();
  await until(() => cleaned);
});

test('a reader that leaves its loop disturbs no other call on the connection', LIMIT, async (t) => {
  const client = await (await serve(t)).client();
  for await (const { list } of client.stream(WordsDefinition, 'split', { first: words('a', 'b', 'c') })) {
    if (list[0] === 'a') break;
  }
  assert.deepEqual(await client.call(WordsDefinition, 'echo', words('on')), words('on'));
});

test('what a stream received before its connection broke is still read', LIMIT, async (t) => {
  const { client, peer } = await clientOf(t);
  const stream = client.stream(WordsDefinition, 'split', { first: words() });
  await peer.frame();
  peer.send({ type: frameTypes.data, payload: wordsPayload('a') });
  peer.socket.end();
  await client.closed;
  const answers = stream[Symbol.asyncIterator]();
  assert.deepEqual((await answers.next()).value, words('a'));
  await assert.rejects(answers.next(), { code: codes.unavailable });
});

test(
  'a message of a stream that is over the limit is refused where it is sent, and the stream goes on',
  LIMIT,
  async (t) => {
    const client = await (await serve(t)).client();
    const stream = client.stream(WordsDefinition, 'collect');
    await assert.rejects(stream.send(words('x'.repeat(FRAME_BYTES_MAX))), { code: codes.resourceExhausted });
    await stream.send(words('small'));
    stream.closeSend();
    assert.deepEqual(await all(stream), [words('small')]);
  },
);

const flagsOf = (frame: { type: number; flags: number }): [number, number] => [frame.type, frame.flags];
