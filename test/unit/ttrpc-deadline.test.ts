import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CodedError, codes } from '../../common/errdefs.ts';
import type { StringList } from '../../proto/gen/ttrpc/ttrpc.ts';
import { LIMIT, serve, stuck, until, words, WordsDefinition } from './ttrpc-harness.ts';

test('a timeout ends the call at both ends, each by its own clock', LIMIT, async (t) => {
  const { seen, echo } = stuck();
  const client = await (await serve(t, { echo })).client();
  await assert.rejects(client.call(WordsDefinition, 'echo', words(), { timeoutMs: 30 }), {
    code: codes.deadlineExceeded,
    message: 'Echo: context deadline exceeded',
  });
  await until(() => seen.reason !== undefined);
  assert.equal((seen.reason as CodedError).code, codes.deadlineExceeded);
});

test('at its deadline the server answers a call, whatever the handler heeds', LIMIT, async (t) => {
  const echo = (): Promise<never> => new Promise(() => undefined);
  const peer = await (await serve(t, { echo })).raw();
  peer.request(1, { timeoutNano: 20_000_000n });
  assert.equal((await peer.answer(1)).code, codes.deadlineExceeded);
});

test('a timeout that has passed is DeadlineExceeded without a run of the handler', LIMIT, async (t) => {
  let runs = 0;
  const echo = async (): Promise<StringList> => words(String((runs += 1)));
  const served = await serve(t, { echo });
  const peer = await served.raw();
  peer.request(1, { timeoutNano: -5n });
  assert.equal((await peer.answer(1)).code, codes.deadlineExceeded);
  const client = await served.client();
  await assert.rejects(client.call(WordsDefinition, 'echo', words(), { timeoutMs: 0 }), {
    code: codes.deadlineExceeded,
  });
  assert.equal(runs, 0);
});

test('a timeout longer than a timer can hold does not end the call early', LIMIT, async (t) => {
  const echo = (request: StringList) => new Promise<StringList>((resolve) => setTimeout(resolve, 50, request));
  const client = await (await serve(t, { echo })).client();
  const echoed = await client.call(WordsDefinition, 'echo', words('a'), { timeoutMs: 2 ** 40 });
  assert.deepEqual(echoed, words('a'));
});

test('a call whose signal aborts is Canceled; its late answer disturbs nobody', LIMIT, async (t) => {
  const gate = Promise.withResolvers<void>();
  const echo = async (request: StringList): Promise<StringList> => {
    if (request.list[0] === 'slow') await gate.promise;
    return request;
  };
  const client = await (await serve(t, { echo })).client();
  const controller = new AbortController();
  const call = client.call(WordsDefinition, 'echo', words('slow'), { signal: controller.signal });
  const reason = new Error('the user left');
  controller.abort(reason);
  await assert.rejects(call, { code: codes.canceled, cause: reason });
  await assert.rejects(client.call(WordsDefinition, 'echo', words(), { signal: controller.signal }), {
    code: codes.canceled,
  });
  gate.resolve();
  assert.deepEqual(await client.call(WordsDefinition, 'echo', words('next')), words('next'));
});
