import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { serve, words, WordsDefinition } from './ttrpc-harness.ts';

const CALLS = 100_000;
/** What may be left of CALLS calls, bytes: far less than one object for each. */
const LEFT_MAX = 1 << 20;
/** The calls are made in rounds, each of a fifth; the heap's least size in some rounds is compared with that in later ones. */
const ROUND = CALLS / 5;
const SAMPLES = 3;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const heapBytesAfter = async (work: () => Promise<void>): Promise<number> => {
  await work();
  await new Promise(setImmediate);
  collectGarbage();
  return process.memoryUsage().heapUsed;
};

const assertNothingLeft = async (work: () => Promise<void>): Promise<void> => {
  for (let i = 0; i < 2; i += 1) await heapBytesAfter(work); // until the code is compiled
  const bytes: number[] = [];
  for (let i = 0; i < 5 + SAMPLES; i += 1) bytes.push(await heapBytesAfter(work));
  const left = Math.min(...bytes.slice(-SAMPLES)) - Math.min(...bytes.slice(0, SAMPLES));
  assert.ok(left < LEFT_MAX, `${left} bytes are left`);
};

test(`${CALLS} calls on one connection leave nothing behind`, async (t) => {
  const client = await (await serve(t)).client();
  const options = { metadata: new Map([['k', ['v']]]), timeoutMs: 60_000, signal: new AbortController().signal };
  await assertNothingLeft(async () => {
    let i = 0;
    const caller = async (): Promise<void> => {
      while (i++ < ROUND) await client.call(WordsDefinition, 'echo', words('a'), options);
    };
    await Promise.all(Array.from({ length: 64 }, caller));
  });
});

test(`a stream of ${CALLS} messages each way leaves nothing behind while it is open`, async (t) => {
  const client = await (await serve(t)).client();
  const stream = client.stream(WordsDefinition, 'chat', { timeoutMs: 120_000 });
  const answers = stream[Symbol.asyncIterator]();
  await assertNothingLeft(async () => {
    for (let i = 0; i < ROUND; i += 1) {
      await stream.send(words('a'));
      assert.equal((await answers.next()).done, false);
    }
  });
});

test('calls that fail, time out, are cancelled or refused leave nothing behind', async (t) => {
  const client = await (await serve(t)).client();
  const unknown = { fullName: 'no.Such', methods: WordsDefinition.methods };
  await assertNothingLeft(async () => {
    for (let i = 0; i < ROUND / 10; i += 1) {
      const controller = new AbortController();
      const calls = [
        client.call(unknown, 'echo', words()),
        client.call(WordsDefinition, 'echo', words(), { timeoutMs: 0 }),
        client.call(WordsDefinition, 'echo', words(), { signal: controller.signal }),
      ];
      controller.abort();
      assert.equal((await Promise.allSettled(calls)).filter(({ status }) => status === 'fulfilled').length, 0);
      for await (const answer of client.stream(WordsDefinition, 'split', { first: words('a', 'b') })) {
        if (answer.list[0] === 'a') break;
      }
    }
  });
});
