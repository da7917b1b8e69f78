import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError, codes, notFound } from '../../common/errdefs.ts';
import { TtrpcClient } from '../../common/ttrpc/client.ts';
import { FRAME_BYTES_MAX } from '../../common/ttrpc/frame.ts';
import type { CallContext } from '../../common/ttrpc/handler.ts';
import { TtrpcServer } from '../../common/ttrpc/server.ts';
import { CALLS_MAX } from '../../common/ttrpc/server-connection.ts';
import { TaskDefinition as TaskV2 } from '../../proto/gen/containerd/task/v2/task_v2.ts';
import { TaskDefinition as TaskV3 } from '../../proto/gen/containerd/task/v3/task_v3.ts';
import type { StringList } from '../../proto/gen/ttrpc/ttrpc.ts';
import { handlers, LIMIT, listen, serve, words, WordsDefinition } from './ttrpc-harness.ts';

test('a call gets its answer; calls at once on one connection get each its own', LIMIT, async (t) => {
  const delayed = async ({ list }: StringList): Promise<StringList> => {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
    return words(...list);
  };
  const client = await (await serve(t, { echo: delayed })).client();
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, i) => client.call(WordsDefinition, 'echo', words(String(i)))),
  );
  assert.deepEqual(
    answers.map(({ list }) => list[0]),
    answers.map((_, i) => String(i)),
  );
});

test('an empty message is a message', LIMIT, async (t) => {
  const client = await (await serve(t)).client();
  assert.deepEqual(await client.call(WordsDefinition, 'echo', words()), words());
});

test('an error that a handler throws has its code and message in the client', LIMIT, async (t) => {
  const told: unknown[] = [];
  const echo = async (): Promise<never> => {
    throw notFound('container', 'web', { cause: new Error('inner') });
  };
  const client = await (await serve(t, { echo }, { onError: (error) => told.push(error) })).client();
  await assert.rejects(client.call(WordsDefinition, 'echo', words()), (error: unknown) => {
    assert.ok(error instanceof CodedError);
    assert.deepEqual([error.code, error.message], [codes.notFound, 'container "web": not found']);
    return true;
  });
  assert.ok(told[0] instanceof CodedError && told[0].cause instanceof Error, 'the log gets the cause');
});

test('a handler that throws at once, or gives no message, fails its call and nothing else', LIMIT, async (t) => {
  const echo = ({ list }: StringList): Promise<StringList> => {
    if (list[0] === 'throw') throw new TypeError('broken');
    return Promise.resolve((list[0] === 'nothing' ? undefined : words('fine')) as StringList);
  };
  const client = await (await serve(t, { echo })).client();
  await assert.rejects(client.call(WordsDefinition, 'echo', words('throw')), {
    code: codes.unknown,
    message: 'broken',
  });
  await assert.rejects(client.call(WordsDefinition, 'echo', words('nothing')), { code: codes.unknown });
  assert.deepEqual(await client.call(WordsDefinition, 'echo', words('')), words('fine'));
});

test('a service or method that nobody serves is Unimplemented, by whatever name', LIMIT, async (t) => {
  const client = await (await serve(t)).client();
  for (const name of ['Nope', '__proto__', 'constructor', 'toString', 'hasOwnProperty', '', 'test.Words/Echo']) {
    const method = { ...WordsDefinition.methods.echo, name };
    for (const definition of [
      { fullName: name, methods: WordsDefinition.methods },
      { fullName: 'test.Words', methods: { echo: method } },
    ]) {
      await assert.rejects(client.call(definition, 'echo', words()), { code: codes.unimplemented });
    }
  }
});

test('one service is served under two names by the same handlers', LIMIT, async (t) => {
  const server = new TtrpcServer();
  const task = { connect: async () => ({ shimPid: 7, taskPid: 8, version: '3' }) };
  server.serve(TaskV2, task as never).serve(TaskV3, task as never);
  const client = await TtrpcClient.connect(await listen(t, (socket) => server.accept(socket)));
  t.after(() => client.close());
  assert.equal((await client.call(TaskV2, 'connect', { id: '' })).shimPid, 7);
  assert.equal((await client.call(TaskV3, 'connect', { id: '' })).shimPid, 7);
});

test('a service cannot be served twice under one name', () => {
  const server = new TtrpcServer().serve(WordsDefinition, handlers);
  assert.throws(() => server.serve(WordsDefinition, handlers), TypeError);
});

test('a handler sees metadata, peer, deadline and the names of what was called', LIMIT, async (t) => {
  let seen: CallContext | undefined;
  const echo = async (request: StringList, context: CallContext): Promise<StringList> => {
    seen = context;
    return request;
  };
  const peer = { pid: 1, uid: 2, gid: 3 };
  const client = await (await serve(t, { echo }, { peer })).client();
  const metadata = new Map([
    ['containerd-namespace-ttrpc', ['moby']],
    ['many', ['a', 'b']],
  ]);
  await client.call(WordsDefinition, 'echo', words(), { metadata, timeoutMs: 5_000 });
  assert.deepEqual(seen?.metadata, metadata);
  assert.deepEqual([seen?.service, seen?.method, seen?.deadlineMs], ['test.Words', 'Echo', 5_000]);
  assert.deepEqual(seen?.peer, peer);
});

test('a peer that is not allowed is hung up on before anything it says is read', LIMIT, async (t) => {
  const served = await serve(t, {}, { peer: { pid: 1, uid: 1000, gid: 1 }, allowPeer: (peer) => peer?.uid === 0 });
  const client = await served.client();
  await assert.rejects(client.call(WordsDefinition, 'echo', words()), { code: codes.unavailable });
  await client.closed;
});

test('a message over the limit is ResourceExhausted either way, and the connection lives on', LIMIT, async (t) => {
  const big = 'x'.repeat(FRAME_BYTES_MAX);
  const echo = async ({ list }: StringList): Promise<StringList> => words(list[0] === 'grow' ? big : 'fine');
  const client = await (await serve(t, { echo })).client();
  await assert.rejects(client.call(WordsDefinition, 'echo', words(big)), { code: codes.resourceExhausted });
  await assert.rejects(client.call(WordsDefinition, 'echo', words('grow')), { code: codes.resourceExhausted });
  assert.deepEqual(await client.call(WordsDefinition, 'echo', words()), words('fine'));
});

test('one call too many on a connection is ResourceExhausted, and the others are answered', LIMIT, async (t) => {
  const gate = Promise.withResolvers<void>();
  const echo = async (request: StringList): Promise<StringList> => {
    await gate.promise;
    return request;
  };
  const client = await (await serve(t, { echo })).client();
  const calls = Array.from({ length: CALLS_MAX }, () => client.call(WordsDefinition, 'echo', words('a')));
  await assert.rejects(client.call(WordsDefinition, 'echo', words()), { code: codes.resourceExhausted });
  gate.resolve();
  assert.equal((await Promise.all(calls)).length, CALLS_MAX);
});
