import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { nowNanos } from '../../native/index.ts';
import { startedAt } from '../../daemon/events/started-at.ts';
import { replayCursors } from '../../daemon/events/replay.ts';
import { subscribe } from '../../daemon/events/subscribe.ts';
import type { SequencedEnvelope } from '../../common/sequenced-envelope.ts';
import { forwardEvent } from '../../daemon/events/forward.ts';
import { create, exit, oom, publish, start, type TestStore, testStore } from './daemon-harness.ts';

const DOCKER = ['namespace==moby,topic~=|^/tasks/|'];

interface Subscriber extends AsyncDisposable {
  /** The next events, in short: `/tasks/exit`. Fails if fewer than `count` come. */
  next(count: number): Promise<string[]>;
  /** Whether nothing more is there to be read. */
  quiet(): Promise<boolean>;
}

interface Options {
  readonly filters?: readonly string[];
  readonly since?: bigint;
  readonly subscriberSince?: bigint;
  /** Processes that somebody has deleted: `container/exec`. */
  readonly deleted?: readonly string[];
}

const subscriber = (
  { db, events }: TestStore,
  { filters = [], since, subscriberSince, deleted = [] }: Options = {},
): Subscriber => {
  const controller = new AbortController();
  const stream = subscribe(
    {
      events,
      cursors: replayCursors(db),
      isUndeleted: (_, container, exec) => !deleted.includes(`${container}/${exec}`),
    },
    { filters, since, subscriberSince },
    controller.signal,
  );
  let pending: Promise<IteratorResult<SequencedEnvelope>> | undefined = stream.next();
  pending.catch(() => undefined);
  const one = async (): Promise<SequencedEnvelope> => {
    const { value } = await (pending ?? stream.next());
    pending = undefined;
    return value as SequencedEnvelope; // it never ends but with an error
  };
  return {
    next: async (count) => {
      const topics: string[] = [];
      while (topics.length < count) topics.push((await one()).topic);
      return topics;
    },
    quiet: async () => {
      pending ??= stream.next();
      pending.catch(() => undefined);
      const waited = new Promise<boolean>((resolve) => setTimeout(resolve, 30, true));
      return Promise.race([waited, pending.then(() => false)]);
    },
    [Symbol.asyncDispose]: async () => {
      controller.abort(new Error('gone'));
      await pending?.catch(() => undefined);
      await stream.return(undefined).catch(() => undefined);
    },
  };
};

const task = (name: string, payload = exit('web')) => ({ topic: `/tasks/${name}`, payload });

test('a subscriber gets what is published after it came, in order, and nothing from before', async () => {
  await using store = await testStore();
  await publish(store, task('create', create('web')));
  await using live = subscriber(store);
  await publish(store, task('start', start('web')), task('exit'));
  assert.deepEqual(await live.next(2), ['/tasks/start', '/tasks/exit']);
  assert.equal(await live.quiet(), true);
});

test('an event is seen only once it is on the disk', async () => {
  await using store = await testStore();
  await using live = subscriber(store);
  store.db.transaction(() =>
    store.events.append({ namespace: 'a', topic: '/x', timestampNanos: 1n, payload: exit('web') }),
  );
  assert.equal(await live.quiet(), true);
  await store.events.publish();
  assert.deepEqual(await live.next(1), ['/x']);
});

test('an event of a transaction that was taken back is never seen, and its sequence is used again', async () => {
  await using store = await testStore();
  await using live = subscriber(store);
  assert.throws(() =>
    store.db.transaction(() => {
      store.events.append({ namespace: 'a', topic: '/lost', timestampNanos: 1n, payload: exit('web') });
      throw new Error('no');
    }),
  );
  await publish(store, task('exit'));
  assert.deepEqual(await live.next(1), ['/tasks/exit']);
  assert.equal(store.events.published, 1n);
});

test('a subscriber that reads nothing for 10,000 events then gets all of them, and held up nobody', async () => {
  await using store = await testStore();
  await using slow = subscriber(store);
  await using fast = subscriber(store);
  const made = Array.from({ length: 10_000 }, () => task('exit'));
  await publish(store, ...made);
  assert.equal((await fast.next(made.length)).length, made.length);
  assert.equal((await slow.next(made.length)).length, made.length);
});

test('a subscriber that says where it left off gets what it missed, without a gap', async () => {
  await using store = await testStore();
  await publish(store, task('create'), task('start'), task('exit'));
  await using resumed = subscriber(store, { since: 1n });
  await publish(store, task('delete'));
  assert.deepEqual(await resumed.next(3), ['/tasks/start', '/tasks/exit', '/tasks/delete']);
});

test('a subscriber is told when what it asks for is no longer in the log', async () => {
  await using store = await testStore();
  await publish(store, ...Array.from({ length: 10 }, () => task('exit')));
  assert.equal(store.events.trim({ beforeNanos: 0n, countMax: 4, batch: 100 }), false);
  assert.equal(store.events.oldest(), 7n);
  await using late = subscriber(store, { since: 3n });
  await assert.rejects(late.next(1), { code: 11, message: 'events 4 to 6 are no longer in the log: out of range' });
});

test('the log is trimmed by age and by count, a batch at a time', async () => {
  await using store = await testStore();
  for (let second = 1n; second <= 20n; second += 1n) {
    store.db.transaction(() =>
      store.events.append({ namespace: 'a', topic: '/x', timestampNanos: second, payload: exit('web') }),
    );
  }
  await store.events.publish();
  assert.equal(store.events.trim({ beforeNanos: 11n, countMax: 100, batch: 6 }), true);
  assert.equal(store.events.oldest(), 7n);
  assert.equal(store.events.trim({ beforeNanos: 11n, countMax: 100, batch: 6 }), false);
  assert.equal(store.events.oldest(), 11n);
  store.events.trim({ beforeNanos: 100n, countMax: 100, batch: 100 });
  assert.equal(store.events.oldest(), 21n); // of the next one
  assert.equal(store.events.published, 20n);
});

test('an event that a shim sends again is published once', async () => {
  await using store = await testStore();
  await using live = subscriber(store);
  const absorbed: string[] = [];
  const parts = { ...store, absorb: ({ topic }: { topic: string }) => absorbed.push(topic) > 0 };
  const event = (sequence: bigint) => ({
    namespace: 'moby',
    topic: '/tasks/exit',
    timestampNanos: 1n,
    payload: exit('web'),
    shim: { id: 'life-1', sequence },
  });
  for (const sequence of [1n, 1n, 2n, 1n, 2n]) await forwardEvent(parts, event(sequence));
  assert.equal((await live.next(2)).length, 2);
  assert.equal(await live.quiet(), true);
  assert.equal(absorbed.length, 2);
});

test('the same sequence of a shim in its next life is another event', async () => {
  await using store = await testStore();
  const append = (id: string) =>
    store.db.transaction(() =>
      store.events.append({
        namespace: 'a',
        topic: '/x',
        timestampNanos: 1n,
        payload: exit('a'),
        shim: { id, sequence: 1n },
      }),
    );
  assert.deepEqual([append('web-1'), append('web-2'), append('web-1')], [1n, 2n, undefined]);
});

test('a forwarded event and the state that it announces are written together or not at all', async () => {
  await using store = await testStore();
  store.db.sql.exec('CREATE TABLE states (state TEXT) STRICT');
  const absorb = (): boolean => {
    store.db.sql.exec("INSERT INTO states VALUES ('stopped')");
    throw new Error('no such task');
  };
  const event = {
    namespace: 'a',
    topic: '/x',
    timestampNanos: 1n,
    payload: exit('a'),
    shim: { id: 's', sequence: 1n },
  };
  await assert.rejects(forwardEvent({ ...store, absorb }, event), /no such task/);
  assert.equal(store.db.sql.prepare('SELECT count(*) FROM states').pluck().get(), 0n);
  assert.equal(store.events.seen(event.shim), false);
});

test('Docker gets, when it subscribes again, the exits and OOMs that it missed, and before anything new', async () => {
  await using store = await testStore();
  {
    await using before = subscriber(store, { filters: DOCKER });
    await publish(store, task('start', start('web')));
    await before.next(1);
    assert.equal(await before.quiet(), true); // so that it asked for more: the first is known to be written
  }
  await publish(
    store,
    task('oom', oom('web')),
    task('exit', exit('web', 'health-check')),
    task('exit'),
    task('start', start('web')),
  );
  await using again = subscriber(store, { filters: DOCKER });
  await publish(store, task('delete'));
  assert.deepEqual(await again.next(4), ['/tasks/oom', '/tasks/exit', '/tasks/exit', '/tasks/delete']);
});

test('Docker gets no exit twice, and none of a process that is deleted, of pid 0 or of another namespace', async () => {
  await using store = await testStore();
  {
    await using before = subscriber(store, { filters: DOCKER });
    await publish(store, task('exit', exit('seen')));
    await before.next(1);
    assert.equal(await before.quiet(), true);
  }
  await publish(
    store,
    task('exit', exit('deleted')),
    task('exit', exit('web', 'deleted-exec')),
    task('exit', exit('zero', 'zero', 0)),
    { ...task('exit', exit('other')), namespace: 'k8s.io' },
    task('create', create('web')),
  );
  await using again = subscriber(store, { filters: DOCKER, deleted: ['deleted/', 'web/deleted-exec'] });
  assert.equal(await again.quiet(), true);
});

test('an exit or an OOM that is no such message keeps Docker from nothing', async () => {
  await using store = await testStore();
  {
    await using before = subscriber(store, { filters: DOCKER });
    await publish(store, task('start', start('web')));
    await before.next(1);
    assert.equal(await before.quiet(), true);
  }
  const nonsense = Buffer.from([0x0a, 0xff]);
  await publish(
    store,
    task('exit', { typeUrl: 'containerd.events.TaskExit', value: nonsense }),
    task('oom', { typeUrl: 'containerd.events.TaskOOM', value: nonsense }),
    task('exit'),
  );
  await using again = subscriber(store, { filters: DOCKER });
  assert.deepEqual(await again.next(1), ['/tasks/exit']);
  assert.equal(await again.quiet(), true);
});

test('Docker that subscribes for the first time gets nothing old, and other filters never do', async () => {
  await using store = await testStore();
  const others = [
    [],
    ['topic~=|^/tasks/|'],
    ['namespace==moby'],
    [...DOCKER, 'topic=="/images/create"'],
    ['namespace==moby,topic~="exit"'],
  ];
  for (const filters of others) {
    await using before = subscriber(store, { filters });
    assert.equal(await before.quiet(), true);
  }
  await publish(store, task('exit'));
  for (const filters of [DOCKER, ...others]) {
    await using again = subscriber(store, { filters });
    assert.equal(await again.quiet(), true, JSON.stringify(filters));
  }
});

test('Docker that was started after a container had ended asks for its state, and does not get the exit as well', async () => {
  await using store = await testStore();
  {
    await using before = subscriber(store, { filters: DOCKER });
    await publish(store, task('start', start('web')));
    await before.next(1);
    assert.equal(await before.quiet(), true);
  }
  await publish(store, task('exit')); // its time is 1 ns
  await using restarted = subscriber(store, { filters: DOCKER, subscriberSince: 2n });
  assert.equal(await restarted.quiet(), true);
});

test('when a process was started is told to within a blink', async () => {
  const child = spawn('sleep', ['5']);
  const now = nowNanos();
  const started = startedAt(child.pid ?? 0) ?? 0n;
  child.kill();
  const apart = Number(now - started) / 1e6;
  assert.ok(Math.abs(apart) < 100, `${apart} ms`);
  await once(child, 'exit');
  assert.equal(startedAt(child.pid ?? 0), undefined);
});

test('an event that Docker had not been given when its connection broke is given again', async () => {
  await using store = await testStore();
  {
    await using before = subscriber(store, { filters: DOCKER });
    await publish(store, task('exit'));
    await before.next(1); // handed out, but never asked for another: it may not have been written
  }
  await using again = subscriber(store, { filters: DOCKER });
  assert.deepEqual(await again.next(1), ['/tasks/exit']);
});

test('the cursors of made-up filters do not pile up', async () => {
  await using store = await testStore();
  const cursors = replayCursors(store.db);
  for (let index = 0; index < 1000; index += 1)
    cursors.open([`namespace==n${index},topic==x,topic~="/tasks/${index}"`], 0n);
  const count = store.db.sql.prepare('SELECT count(*) FROM event_cursors').pluck().get();
  assert.equal(count, 256n);
});
