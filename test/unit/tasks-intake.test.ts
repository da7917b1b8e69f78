import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { TaskCreate, TaskPaused, TaskStart } from '../../proto/gen/containerd/events/event_payloads.ts';
import { recordExit } from '../../daemon/tasks/intake.ts';
import { exitEvent, openRows, taskEvent, taskRow } from './tasks-rows.ts';

const key = { namespace: 'n', id: 'c' };

test('an exit changes the row in the transaction that puts its event into the log', async () => {
  await using rows = await openRows();
  rows.db.transaction(() => rows.tasks.insert(taskRow({ status: 'running' })));
  await rows.forward(exitEvent({ pid: 10, status: 7, at: 123n }, { sequence: 1n }));
  const row = rows.tasks.get(key);
  assert.deepEqual([row?.status, row?.exit, row?.announced], ['stopped', { status: 7, exitedAt: 123n }, true]);
  assert.deepEqual(rows.topics(), ['/tasks/exit']);
});

test('a repeated exit is acknowledged and not published again, whether its shim numbers events or not', async () => {
  for (const options of [{ sequence: 1n }, {}]) {
    await using rows = await openRows();
    rows.db.transaction(() => rows.tasks.insert(taskRow({ status: 'running', shim: options.sequence ? 'k1' : 'k2' })));
    const exit = exitEvent({ pid: 10, status: 7, at: 123n }, options);
    await rows.forward(exit);
    await rows.forward(exit);
    assert.deepEqual(rows.topics(), ['/tasks/exit']);
  }
});

test('an event of a task that is no such message changes nothing, and is passed on', async () => {
  await using rows = await openRows();
  rows.db.transaction(() => rows.tasks.insert(taskRow({ status: 'running' })));
  const event = exitEvent({ pid: 10, status: 7, at: 123n }, { sequence: 1n });
  await rows.forward({ ...event, payload: { ...event.payload, value: Buffer.from([0x0a, 0xff]) } });
  assert.deepEqual([rows.tasks.get(key)?.status, rows.topics()], ['running', ['/tasks/exit']]);
});

test('an exit known from its record is still published once, when the shim tells of it', async () => {
  await using rows = await openRows();
  rows.db.transaction(() => {
    rows.tasks.insert(taskRow({ status: 'running' }));
    recordExit(rows, taskRow({ status: 'running' }), { status: 3, exitedAt: 50n }, false);
  });
  assert.equal(rows.tasks.get(key)?.status, 'stopped');
  assert.deepEqual(rows.topics(), []);
  await rows.forward(exitEvent({ pid: 10, status: 3, at: 50n }, { sequence: 9n }));
  await rows.forward(exitEvent({ pid: 10, status: 3, at: 50n }, { sequence: 10n }));
  assert.deepEqual(rows.topics(), ['/tasks/exit']);
});

test('the exit of an earlier process of the same name ends nobody', async () => {
  await using rows = await openRows();
  rows.db.transaction(() => rows.tasks.insert(taskRow({ status: 'creating', pid: 0 })));
  await rows.forward(exitEvent({ pid: 9, status: 1, at: 1n }, { sequence: 1n }));
  assert.equal(rows.tasks.get(key)?.exit, undefined);
  assert.deepEqual(rows.topics(), ['/tasks/exit']);
});

test('a process that ends before its create was answered is known to have ended', async () => {
  await using rows = await openRows();
  rows.db.transaction(() => rows.tasks.insert(taskRow({ status: 'creating', pid: 0 })));
  const create = { containerId: 'c', bundle: '/b', rootfs: [], io: undefined, checkpoint: '', pid: 10 };
  await rows.forward(taskEvent('/tasks/create', ['TaskCreate', TaskCreate], create, { sequence: 1n }));
  await rows.forward(exitEvent({ pid: 10, status: 137, at: 8n }, { sequence: 2n }));
  const row = rows.tasks.get(key);
  assert.deepEqual([row?.status, row?.exit?.status], ['creating', 137]);
});

test('a start that arrives after the exit does not bring the task back to life', async () => {
  await using rows = await openRows();
  rows.db.transaction(() => rows.tasks.insert(taskRow({ shim: 'k2' })));
  await rows.forward(exitEvent({ pid: 10, status: 0, at: 8n }));
  await rows.forward(taskEvent('/tasks/start', ['TaskStart', TaskStart], { containerId: 'c', pid: 10 }));
  assert.equal(rows.tasks.get(key)?.status, 'stopped');
});

test('a pause that arrives after the resume that followed it changes nothing', async () => {
  await using rows = await openRows();
  rows.db.transaction(() => rows.tasks.insert(taskRow({ status: 'running', changedAt: 100n })));
  await rows.forward(
    taskEvent('/tasks/paused', ['TaskPaused', TaskPaused], { containerId: 'c' }, { sequence: 1n, at: 90n }),
  );
  assert.equal(rows.tasks.get(key)?.status, 'running');
  await rows.forward(
    taskEvent('/tasks/paused', ['TaskPaused', TaskPaused], { containerId: 'c' }, { sequence: 2n, at: 110n }),
  );
  assert.equal(rows.tasks.get(key)?.status, 'paused');
});

test('an exec may be called like its container: the pid says which of the two has ended', async () => {
  await using rows = await openRows();
  rows.db.transaction(() => {
    rows.tasks.insert(taskRow({ status: 'running' }));
    rows.execs.put({ ...taskRow(), execId: 'c', status: 'running', pid: 11 });
  });
  await rows.forward(exitEvent({ pid: 11, status: 4, at: 8n }, { sequence: 1n }));
  assert.equal(rows.tasks.get(key)?.status, 'running');
  assert.equal(rows.execs.get({ ...key, execId: 'c' })?.exit?.status, 4);
});

test('only a task’s own shim may speak of it: what others publish is passed on and changes nothing', async () => {
  await using rows = await openRows();
  rows.db.transaction(() => rows.tasks.insert(taskRow({ status: 'running' })));
  await rows.forward(exitEvent({ pid: 10, status: 1, at: 1n }));
  const start = { containerId: 'c', pid: 10 };
  await rows.forward(taskEvent('/tasks/start', ['TaskStart', TaskStart], start, { sequence: 1n, source: 'k9-life' }));
  assert.equal(rows.tasks.get(key)?.status, 'running');
  assert.deepEqual(rows.topics(), ['/tasks/exit', '/tasks/start']);
});

test('who waits hears of the exit once it is committed, and of no other process’s', async () => {
  await using rows = await openRows();
  rows.db.transaction(() => rows.tasks.insert(taskRow({ status: 'running' })));
  const { signal } = new AbortController();
  const init = rows.exits.next({ ...key, execId: '' }, signal);
  let other = false;
  void rows.exits.next({ ...key, execId: 'x' }, AbortSignal.timeout(50)).then(
    () => (other = true),
    () => undefined,
  );
  await rows.forward(exitEvent({ pid: 10, status: 7, at: 123n }, { sequence: 1n }));
  assert.deepEqual(await init, { status: 7, exitedAt: 123n });
  await turn();
  assert.equal(other, false);
});

test('a waiter that gives up leaves nothing behind', async () => {
  await using rows = await openRows();
  const controller = new AbortController();
  const wait = rows.exits.next({ ...key, execId: '' }, controller.signal);
  assert.equal(rows.exits.count, 1);
  controller.abort(new Error('gone'));
  await assert.rejects(wait, /gone/);
  assert.equal(rows.exits.count, 0);
});
