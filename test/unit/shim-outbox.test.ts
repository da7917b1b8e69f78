import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { Log } from '../../shim/log.ts';
import { Outbox } from '../../shim/outbox.ts';
import type { OutboxEvent } from '../../shim/outbox-file.ts';

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
const payload = { typeUrl: 'containerd.events.TaskOOM', value: Buffer.from('x') };

const place = (t: TestContext): string => {
  const directory = mkdtempSync(join(tmpdir(), 'outbox-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return join(directory, 'outbox');
};

test('events leave one at a time, in order, each after the one before was acknowledged', async (t) => {
  const seen: string[] = [];
  let under = 0;
  const forward = async (event: OutboxEvent): Promise<void> => {
    assert.equal((under += 1), 1);
    await new Promise((resolve) => setTimeout(resolve, 2));
    seen.push(event.topic);
    under -= 1;
  };
  const outbox = new Outbox({ path: place(t), log: silent, forward });
  for (const topic of ['/a', '/b', '/c']) outbox.append(topic, payload);
  await outbox.whenEmpty();
  assert.deepEqual(seen, ['/a', '/b', '/c']);
  outbox.close();
});

test('what was not acknowledged when a shim died is sent by the next, with the same sequence', async (t) => {
  const path = place(t);
  let first = true;
  const refusing = new Outbox({
    path,
    log: silent,
    forward: async () => {
      if (!first) throw new Error('away');
      first = false;
    },
  });
  refusing.append('/one', payload);
  refusing.append('/two', payload);
  refusing.append('/three', payload);
  await refusing.whenAcknowledged(1n);
  refusing.close();
  appendFileSync(path, '{"sequence":"4","topic":"/cut'); // killed while it wrote

  const sent: [bigint, string][] = [];
  const next = new Outbox({
    path,
    log: silent,
    forward: async (event) => void sent.push([event.sequence, event.topic]),
  });
  next.append('/four', payload);
  await next.whenEmpty();
  assert.deepEqual(sent, [
    [2n, '/two'],
    [3n, '/three'],
    [4n, '/four'],
  ]);
  next.close();
  const again = new Outbox({ path, log: silent, forward: async () => assert.fail('all was acknowledged') });
  assert.equal(again.next, 5n);
  again.close();
});

test('a daemon that is away is tried again without limit, and at once when it is heard of', async (t) => {
  let attempts = 0;
  const outbox = new Outbox({
    path: place(t),
    log: silent,
    forward: async () => {
      if ((attempts += 1) < 6) throw new Error('away');
    },
  });
  outbox.append('/a', payload);
  const begun = performance.now();
  while (!outbox.empty) {
    outbox.hint();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(attempts, 6);
  assert.ok(performance.now() - begun < 50, 'waited although it was told');
  outbox.close();
});

test('an exit whose event a crash kept out of the file takes its place again, once', async (t) => {
  const path = place(t);
  const sent: bigint[] = [];
  const open = (): Outbox =>
    new Outbox({ path, log: silent, forward: async (event) => void sent.push(event.sequence) });
  const first = open();
  first.append('/one', payload);
  await first.whenEmpty();
  first.close();
  const second = open();
  second.restore(1n, '/one', payload);
  second.restore(2n, '/exit', payload);
  second.restore(2n, '/exit', payload);
  second.begin();
  await second.whenEmpty();
  assert.deepEqual(sent, [1n, 2n]);
  assert.equal(second.next, 3n);
  second.close();
});

test('an outbox that was emptied does not grow without end', async (t) => {
  const path = place(t);
  const outbox = new Outbox({ path, log: silent, forward: async () => undefined });
  const large = { ...payload, value: Buffer.alloc(10_000) };
  for (let count = 0; count < 20; count += 1) outbox.append('/x', large);
  await outbox.whenEmpty();
  assert.ok(readFileSync(path).length < 1_000);
  assert.equal(outbox.append('/y', payload), 21n);
  await outbox.whenEmpty();
  outbox.close();
  truncateSync(path, 0);
});

test('a place that is kept for an event that will be restored goes to no other', async (t) => {
  const seen: string[] = [];
  const forward = async ({ sequence, topic }: OutboxEvent): Promise<void> => void seen.push(`${sequence} ${topic}`);
  const outbox = new Outbox({ path: place(t), log: silent, forward });
  outbox.reserve(7n);
  assert.equal(outbox.append('/new', payload), 8n);
  outbox.restore(7n, '/restored', payload);
  await outbox.whenEmpty();
  assert.deepEqual(seen, ['7 /restored', '8 /new']);
  outbox.close();
});
