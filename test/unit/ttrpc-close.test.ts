import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { CodedError, codes } from '../../common/errdefs.ts';
import { TtrpcClient } from '../../common/ttrpc/client.ts';
import { CLOSE_MS_MAX, TtrpcServer } from '../../common/ttrpc/server.ts';
import type { StringList } from '../../proto/gen/ttrpc/ttrpc.ts';
import { handlers, LIMIT, listen, serve, stuck, until, words, WordsDefinition } from './ttrpc-harness.ts';

test('a caller that hangs up aborts its calls in the server', LIMIT, async (t) => {
  const { seen, echo } = stuck();
  const served = await serve(t, { echo });
  const client = await served.client();
  const call = client.call(WordsDefinition, 'echo', words());
  await until(() => seen.context !== undefined);
  client.close();
  await assert.rejects(call, { code: codes.unavailable, message: 'ttrpc: closed: unavailable' });
  await until(() => seen.reason !== undefined && served.server.connections === 0);
  assert.equal((seen.reason as CodedError).code, codes.unavailable);
});

test('calls on a closed connection are Unavailable, those under way and those to come', LIMIT, async (t) => {
  const client = await (await serve(t, { echo: stuck().echo })).client();
  const calls = [1, 2, 3].map(() => client.call(WordsDefinition, 'echo', words()));
  client.close();
  calls.push(client.call(WordsDefinition, 'echo', words()));
  await Promise.all(calls.map((call) => assert.rejects(call, { code: codes.unavailable })));
  await client.closed;
  assert.equal(client.open, false);
  assert.throws(() => client.stream(WordsDefinition, 'chat'), { code: codes.unavailable });
});

test('close waits for the calls under way, refuses new ones, and then hangs up', LIMIT, async (t) => {
  const gate = Promise.withResolvers<void>();
  let runs = 0;
  const echo = async (request: StringList): Promise<StringList> => {
    runs += 1;
    await gate.promise;
    return request;
  };
  const { server, client: connect } = await serve(t, { echo });
  const client = await connect();
  const call = client.call(WordsDefinition, 'echo', words('last'));
  await until(() => runs === 1);
  const closed = server.close();
  await assert.rejects(client.call(WordsDefinition, 'echo', words()), { code: codes.unavailable });
  gate.resolve();
  assert.deepEqual(await call, words('last'));
  await closed;
  await client.closed;
  assert.equal(server.connections, 0);
});

test('close waits for no handler for ever: in the end its caller is told', LIMIT, async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { seen, echo } = stuck();
  const { server, client: connect } = await serve(t, { echo });
  const client = await connect();
  const call = client.call(WordsDefinition, 'echo', words());
  while (seen.context === undefined) await new Promise(setImmediate);
  const closed = server.close();
  t.mock.timers.tick(CLOSE_MS_MAX);
  await assert.rejects(call, { code: codes.unavailable, message: 'ttrpc: server closed: unavailable' });
  await closed;
});

test('connect to nobody is Unavailable and names the path', LIMIT, async (t) => {
  const path = join(await listen(t, () => undefined), '..', 'nobody');
  await assert.rejects(TtrpcClient.connect(path), (error: unknown) => {
    assert.ok(error instanceof CodedError);
    assert.equal(error.code, codes.unavailable);
    assert.ok(error.message.includes(path), error.message);
    return true;
  });
});

test('a path of 107 bytes is connected to; a longer one is refused by name', LIMIT, async (t) => {
  const server = new TtrpcServer().serve(WordsDefinition, handlers);
  const path = await listen(t, (socket) => server.accept(socket), 107);
  assert.equal(Buffer.byteLength(path), 107);
  const client = await TtrpcClient.connect(`unix://${path}`);
  t.after(() => client.close());
  assert.deepEqual(await client.call(WordsDefinition, 'echo', words('a')), words('a'));
  await assert.rejects(TtrpcClient.connect(`${path}x`), { code: codes.unavailable, message: new RegExp(`${path}x`) });
});

test('connect can be given up', LIMIT, async (t) => {
  const path = await listen(t, () => undefined);
  await assert.rejects(TtrpcClient.connect(path, { signal: AbortSignal.abort() }), { code: codes.canceled });
});
