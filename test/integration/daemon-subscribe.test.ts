import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SequencedEnvelope } from '../../common/sequenced-envelope.ts';
import { TtrpcClient } from '../../common/ttrpc/client.ts';
import { EventsDefinition as TtrpcEventsDefinition } from '../../proto/gen/containerd/services/events/ttrpc/v1/events_ttrpc.ts';
import { EventsDefinition } from '../../proto/gen/containerd/services/events/v1/events.ts';
import { NamespacesDefinition } from '../../proto/gen/containerd/services/namespaces/v1/namespaces.ts';
import { cleanUp, startDaemon, type StartOptions, type TestDaemon } from './daemon-harness.ts';

const DEBUG = ['--log-level', 'debug'];

const started = async (context: TestContext, options: StartOptions = {}): Promise<TestDaemon> => {
  const daemon = await startDaemon({ arguments: DEBUG, ...options });
  context.after(() => cleanUp(daemon));
  return daemon;
};

/** Resolves when `text` holds what is looked for; fails after ten seconds. */
const until = async (what: RegExp, text: () => string): Promise<void> => {
  for (let waited = 0; !what.test(text()); waited += 20) {
    assert.ok(waited < 10_000, `no ${what} in:\n${text()}`);
    await sleep(20);
  }
};

const rssBytes = (pid: number): number =>
  1024 * Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

const payload = { typeUrl: 'containerd.events.TaskOOM', value: Buffer.from([10, 1, 97]) };

const definition = {
  ...EventsDefinition,
  methods: {
    ...EventsDefinition.methods,
    subscribe: { ...EventsDefinition.methods.subscribe, responseType: SequencedEnvelope },
  },
} as const;

test('ctr events shows what happens, in all namespaces, from the moment when it is subscribed', async (context) => {
  const daemon = await started(context);
  const ctr = spawn('ctr', ['--address', daemon.address, '-n', 'some', 'events'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  context.after(() => ctr.kill());
  let output = '';
  ctr.stdout.on('data', (text: Buffer) => (output += String(text)));
  await until(/"subscribed"/, () => daemon.log());
  const namespaces = daemon.client(NamespacesDefinition);
  await namespaces.create({ namespace: { name: 'other', labels: new Map([['a', 'b']]) } });
  await daemon.client(EventsDefinition).publish({ topic: '/tasks/oom', event: payload });
  await until(/oom/, () => output);
  const lines = output
    .trim()
    .split('\n')
    .map((line) => line.replace(/^.* UTC /, ''));
  assert.deepEqual(lines, [
    'other /namespaces/create {"name":"other","labels":{"a":"b"}}',
    'test /tasks/oom {"container_id":"a"}',
  ]);
});

test('a subscriber has the headers of its stream before there is any event', async (context) => {
  const daemon = await started(context);
  const stream = daemon.client(EventsDefinition).subscribe({ filters: [] });
  stream.on('error', () => undefined);
  await once(stream, 'metadata', { signal: AbortSignal.timeout(2000) });
  stream.cancel();
});

test('a client that reads nothing costs nobody anything: others are served, and it gets all in the end', async (context) => {
  const daemon = await started(context);
  const events = daemon.client(definition);
  const lazy = events.subscribe({ filters: [] });
  await once(lazy, 'metadata');
  const large = { ...payload, typeUrl: 'test.Large', value: Buffer.alloc(100_000) };
  const count = 1500; // 150 MB, more than any window or buffer on the way
  let before = 0;
  for (let index = 0; index < count; index += 1) {
    if (index === 500) before = rssBytes(daemon.pid); // by then it is as large as the publishing makes it
    await events.publish({ topic: '/large', event: large });
  }
  const grown = rssBytes(daemon.pid) - before;
  assert.ok(grown < 40e6, `the daemon has grown by ${grown} bytes`);
  let received = 0;
  for await (const event of lazy) {
    assert.equal((event as SequencedEnvelope).topic, '/large');
    received += 1;
    if (received === count) break;
  }
});

const isLong = process.env['HOLDFAST_TEST_LONG'] === '1';
const CROWD = isLong ? { subscribers: 100, events: 10_000 } : { subscribers: 100, events: 300 };
/** Events that are published at once. */
const BATCH = 20;

test('100 subscribers each get all events, in order, and one that reads nothing holds up nobody', async (context) => {
  const daemon = await started(context);
  const publisher = daemon.client(definition);
  const lazy = daemon.client(definition).subscribe({ filters: [] });
  lazy.on('error', () => undefined); // the end of the daemon is its end
  await once(lazy, 'metadata');
  const crowd = Array.from({ length: CROWD.subscribers }, () => daemon.client(definition).subscribe({ filters: [] }));
  const seen = crowd.map(async (stream) => {
    const sequences: bigint[] = [];
    for await (const event of stream) {
      sequences.push((event as SequencedEnvelope).sequence ?? 0n);
      if (sequences.length === CROWD.events) break;
    }
    return sequences;
  });
  await Promise.all(crowd.map((stream) => once(stream, 'metadata')));
  for (let index = 0; index < CROWD.events; index += BATCH) {
    const batch = Array.from({ length: BATCH }, () => publisher.publish({ topic: '/crowd', event: payload }));
    await Promise.all(batch);
  }
  const [first = [], ...others] = await Promise.all(seen);
  assert.equal(first.length, CROWD.events);
  first.forEach((sequence, index) => assert.equal(sequence, (first[0] ?? 0n) + BigInt(index)));
  for (const sequences of others) assert.deepEqual(sequences, first);
});

test('a subscriber that was cut off by kill -9 resumes without a gap', async (context) => {
  const first = await started(context);
  const events = first.client(definition);
  const stream = events.subscribe({ filters: [] });
  let last = 0n;
  stream.on('data', (event: SequencedEnvelope) => (last = event.sequence ?? 0n)).on('error', () => undefined);
  await once(stream, 'metadata');
  await events.publish({ topic: '/one', event: payload });
  await until(/[^0]/, () => String(last));
  stream.pause();
  await events.publish({ topic: '/two', event: payload });
  await events.publish({ topic: '/three', event: payload });
  await first.stop('SIGKILL');

  const second = await started(context, { folder: first.folder });
  const resumed = second
    .client(definition)
    .subscribe({ filters: [] }, { metadata: { 'holdfast-since': String(last) } });
  const topics: string[] = [];
  for await (const event of resumed) {
    topics.push((event as SequencedEnvelope).topic);
    if (topics.length === 2) break;
  }
  assert.deepEqual(topics, ['/two', '/three']);
  const future = second.client(definition).subscribe({ filters: [] }, { metadata: { 'holdfast-since': '1000' } });
  const [error] = (await once(future.resume(), 'error')) as [{ code: number }];
  assert.equal(error.code, 11);
});

test('an event that a shim forwards is published once, however often it is sent', async (context) => {
  const daemon = await started(context);
  const stream = daemon.client(definition).subscribe({ filters: [] });
  const topics: string[] = [];
  stream.on('data', ({ topic }: SequencedEnvelope) => topics.push(topic)).on('error', () => undefined);
  await once(stream, 'metadata');
  const shim = await TtrpcClient.connect(`${daemon.address}.ttrpc`);
  const forward = (topic: string, metadata: readonly [string, string][]) =>
    shim.call(
      TtrpcEventsDefinition,
      'forward',
      { envelope: { timestamp: { seconds: 5n, nanos: 0 }, namespace: 'moby', topic, event: payload } },
      { metadata: new Map(metadata.map(([key, value]) => [key, [value]])) },
    );
  const numbered = (sequence: number): [string, string][] => [
    ['holdfast-shim', 'life'],
    ['holdfast-sequence', String(sequence)],
  ];
  await forward('/tasks/one', numbered(1));
  await forward('/tasks/one', numbered(1));
  await forward('/tasks/foreign', []);
  await forward('/tasks/two', numbered(2));
  await assert.rejects(forward('no-topic', numbered(3)), { code: 3 });
  shim.close();
  await until(/two/, () => topics.join());
  stream.cancel();
  assert.deepEqual(topics, ['/tasks/one', '/tasks/foreign', '/tasks/two']);
});

/** dockerd has two namespaces, in any order. */
const SUBSCRIBED_TWICE =
  /"plugins\.moby".*"subscribed"[^]*"moby".*"subscribed"|"moby".*"subscribed"[^]*"plugins\.moby".*"subscribed"/;

test('dockerd subscribes again after the daemon was stopped, and after it was killed', async (context) => {
  const first = await started(context);
  const folder = join(first.folder, 'docker');
  mkdirSync(folder);
  const dockerd = spawn(
    'dockerd',
    [
      `--containerd=${first.address}`,
      `--host=unix://${folder}/d.sock`,
      `--data-root=${folder}/data`,
      `--exec-root=${folder}/exec`,
      `--pidfile=${folder}/pid`,
      '--bridge=none',
      '--iptables=false',
      '--ip-masq=false',
    ],
    { stdio: 'ignore' },
  );
  const ended = once(dockerd, 'exit');
  let last = first;
  try {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await until(SUBSCRIBED_TWICE, () => last.log());
      assert.match(last.log(), /"filters":\["namespace==moby,topic~=\|\^\/tasks\/\|"\]/);
      await last.stop(signal);
      last = await started(context, { folder: first.folder });
    }
    await until(/"subscribed"/, () => last.log());
  } finally {
    dockerd.kill();
    await ended;
  }
});
