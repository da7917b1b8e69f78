import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { CodedError, codes, notFound } from '../../common/errdefs.ts';
import { TtrpcClient } from '../../common/ttrpc/client.ts';
import type { StringList } from '../../proto/gen/ttrpc/ttrpc.ts';
import { all, listen, serve, words, WordsDefinition, type WordsHandlers } from './ttrpc-harness.ts';

const LONG = process.env['HOLDFAST_TEST_LONG'] === '1';
const STREAMS = LONG ? 100_000 : 10_000;
/** Streams open at once. */
const OPEN_MAX = 500;

/** One stream of the test: what is called, with which words, and how it is to end. */
interface Plan {
  readonly method: keyof typeof WordsDefinition.methods;
  readonly list: readonly string[];
  readonly end: 'well' | 'error' | 'canceled';
}

test(`${STREAMS} random streams on one connection, cut at random places, get each its own and nothing else`, async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), async (seed) => {
      const random = randomFrom(seed);
      const client = await cutClient(t, random);
      let next = 0;
      const worker = async (): Promise<void> => {
        while (next < STREAMS) {
          const id = next++;
          await play(client, planOf(id, random), random);
        }
      };
      await Promise.all(Array.from({ length: OPEN_MAX }, worker));
      client.close();
    }),
    // On failure fast-check prints the seed; the same seed makes the same streams.
    { numRuns: 1, endOnFailure: true },
  );
});

/** A client whose bytes, and those of its server, travel in pieces of random length. */
const cutClient = async (t: TestContext, random: () => number): Promise<TtrpcClient> => {
  const { path } = await serve(t, handlers);
  const relay = await listen(t, (near) => {
    const far = connect(path);
    relayInPieces(near, far, random);
    relayInPieces(far, near, random);
  });
  return TtrpcClient.connect(relay);
};

const relayInPieces = (from: Socket, to: Socket, random: () => number): void => {
  from.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length;) {
      const end = at + 1 + Math.floor(random() ** 4 * chunk.length);
      to.write(chunk.subarray(at, end));
      at = end;
    }
  });
  from.on('error', () => undefined);
  from.on('close', () => to.destroy());
};

/** The harness's methods; one that gets the word `error` throws after what came before. */
const handlers: WordsHandlers = {
  echo: async (request) => checked(request),
  collect: async (requests) => {
    const list: string[] = [];
    for await (const request of requests) list.push(...checked(request).list);
    return { list };
  },
  async *split({ list }) {
    for (const word of list) yield checked(words(word));
  },
  async *chat(requests) {
    for await (const request of requests) yield checked(request);
  },
};

const checked = (request: StringList): StringList => {
  if (request.list.includes('error')) throw notFound('word', request.list[0] ?? '');
  return request;
};

const planOf = (id: number, random: () => number): Plan => {
  const methods = Object.keys(WordsDefinition.methods) as Plan['method'][];
  const length = random() < 0.01 ? 20_000 : 100;
  const word = (_: unknown, at: number): string => `${id}-${at}-${'x'.repeat(Math.floor(random() * length))}`;
  const list = Array.from({ length: Math.floor(random() * 6) }, word);
  const roll = random();
  return {
    method: methods[Math.floor(random() * methods.length)] ?? 'echo',
    list,
    end: roll < 0.8 ? 'well' : roll < 0.9 ? 'error' : 'canceled',
  };
};

/** Carries out a plan and checks all that comes back. */
const play = async (client: TtrpcClient, plan: Plan, random: () => number): Promise<void> => {
  const controller = new AbortController();
  const list = plan.end === 'error' ? [...plan.list, 'error'] : [...plan.list];
  const got: string[] = [];
  if (plan.end === 'canceled') setTimeout(() => controller.abort(), random() * 3);
  try {
    await run(client, plan.method, list, got, controller.signal);
  } catch (error) {
    assert.ok(error instanceof CodedError, String(error));
    const expected = plan.end === 'error' ? codes.notFound : plan.end === 'canceled' ? codes.canceled : codes.ok;
    assert.equal(error.code, expected, error.message);
    assert.deepEqual(got, list.slice(0, got.length), 'what came before the end was its own');
    return;
  }
  assert.notEqual(plan.end, 'error');
  assert.deepEqual(got, list);
};

const run = async (
  client: TtrpcClient,
  method: Plan['method'],
  list: string[],
  got: string[],
  signal: AbortSignal,
): Promise<void> => {
  if (method === 'echo') {
    got.push(...(await client.call(WordsDefinition, 'echo', words(...list), { signal })).list);
    return;
  }
  if (method === 'split') {
    const stream = client.stream(WordsDefinition, 'split', { first: words(...list), signal });
    for await (const answer of stream) got.push(...answer.list);
    return;
  }
  const stream = client.stream(WordsDefinition, method, { signal });
  const answers = all(stream).then((messages) => got.push(...messages.flatMap((message) => message.list)));
  const sent = (async () => {
    for (const word of list) await stream.send(words(word));
    stream.closeSend();
  })();
  // The server may end the stream before everything is sent; then sending fails, and the answer says why.
  await Promise.all([answers, sent.catch(() => undefined)]);
};

/** Numbers from 0 to 1 that are the same for the same seed. Source: mulberry32, public domain. */
const randomFrom = (seed: number): (() => number) => {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};
