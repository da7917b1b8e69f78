import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { codes } from '../../common/errdefs.ts';
import { nanosFromTimestamp } from '../../common/timestamp.ts';
import { nowNanos } from '../../native/index.ts';
import { Status } from '../../proto/gen/containerd/v1/types/task_types.ts';
import { eventually } from '../harness/wait.ts';
import { exitsOf, TaskWorld } from './tasks-harness.ts';

test('a container does not notice that its daemon was killed, and is listed once by the next', async (t) => {
  const world = await TaskWorld.start(t);
  const pid = await world.run('c', ['sleep', '1000']);
  await world.restart();
  const { tasks } = await world.tasks.list({});
  assert.deepEqual(
    tasks.map((task) => [task.id, task.pid, task.status]),
    [['c', pid, Status.RUNNING]],
  );
  assert.equal(await world.exec('c', 'x', ['true']), 0);
  await world.remove('c');
  await world.assertNoLeaks();
});

test('a Wait that is open does not hold up a stop, and its client is told to come back', async (t) => {
  const world = await TaskWorld.start(t);
  await world.run('c', ['sleep', '1000']);
  const wait = world.tasks.wait({ containerId: 'c' }).then(
    () => assert.fail('the container goes on'),
    (error: { code: number }) => error.code,
  );
  await world.status('c'); // the Wait was sent before
  const began = performance.now();
  assert.equal(await world.daemon.stop(), 0);
  const ms = performance.now() - began;
  assert.equal(await wait, codes.unavailable);
  assert.ok(ms < 2_000, `${ms} ms`); // calls under way have 3 s
  await world.up();
  await world.remove('c');
});

test('an exit that happens while the daemon is down is told with its status and true time, once', async (t) => {
  const world = await TaskWorld.start(t);
  const pid = await world.run('c', ['sh', '-c', 'sleep 0.5; exit 9']);
  const began = nowNanos();
  await world.kill();
  await sleep(1500);
  const returned = nowNanos();
  await world.up();
  assert.equal(await world.status('c'), Status.STOPPED, 'from the first moment');
  const exit = await world.tasks.wait({ containerId: 'c' });
  const at = nanosFromTimestamp(exit.exitedAt);
  assert.equal(exit.exitStatus, 9);
  assert.ok(at > began && at < returned - 500_000_000n, 'when it happened, not when we heard of it');
  await eventually(async () => exitsOf(await world.history(), 'c').length > 0, { what: 'the exit is published' });
  const events = await world.history();
  assert.deepEqual(
    events.map(({ topic }) => topic),
    ['/tasks/create', '/tasks/start', '/tasks/exit'],
  );
  assert.deepEqual(exitsOf(events, 'c'), [{ containerId: 'c', id: 'c', pid, exitStatus: 9, exitedAt: exit.exitedAt }]);
  const deleted = await world.tasks.delete({ containerId: 'c' });
  assert.deepEqual([deleted.pid, deleted.exitStatus, deleted.exitedAt], [pid, 9, exit.exitedAt]);
  await world.assertNoLeaks();
});

test('a stopped task is kept, with how it ended, until somebody deletes it', async (t) => {
  const world = await TaskWorld.start(t);
  await world.run('c', ['sh', '-c', 'exit 3']);
  const exit = await world.tasks.wait({ containerId: 'c' });
  await world.restart();
  await world.restart();
  const { process } = await world.tasks.get({ containerId: 'c' });
  assert.deepEqual([process?.status, process?.exitStatus, process?.exitedAt], [Status.STOPPED, 3, exit.exitedAt]);
  await world.remove('c');
  await world.assertNoLeaks();
});

test('an exec that runs while the daemon is down keeps its name, its status and its stdio paths', async (t) => {
  const world = await TaskWorld.start(t);
  await world.run('c', ['sleep', '1000']);
  await world.addExec('c', 'x', ['sh', '-c', 'sleep 0.5; exit 5'], { stdout: `file://${world.bed.dir}/out` });
  await world.tasks.start({ containerId: 'c', execId: 'x' });
  await world.kill();
  await sleep(1000);
  await world.up();
  const { process } = await world.tasks.get({ containerId: 'c', execId: 'x' });
  assert.deepEqual(
    [process?.status, process?.exitStatus, process?.stdout],
    [Status.STOPPED, 5, `file://${world.bed.dir}/out`],
  );
  assert.equal((await world.tasks.deleteProcess({ containerId: 'c', execId: 'x' })).exitStatus, 5);
  await world.remove('c');
});

test('a daemon killed during create leaves nothing behind', async (t) => {
  const world = await TaskWorld.start(t);
  const marker = join(world.bed.dir, 'in-hook');
  const change = (spec: { hooks?: object }): void => {
    spec.hooks = {
      createRuntime: [{ path: '/bin/sh', args: ['sh', '-c', `cat > /dev/null; echo > ${marker}; sleep 2`] }],
    };
  };
  await world.createContainer('c', ['sleep', '1000'], { change });
  const create = world.createTask('c').catch((error: unknown) => error);
  await eventually(() => existsSync(marker), { what: 'the hook runs' });
  await world.restart();
  assert.ok((await create) instanceof Error);
  await assert.rejects(world.tasks.get({ containerId: 'c' }), { code: codes.notFound });
  await world.assertNoLeaks();
  writeFileSync(marker, '');
  await world.createTask('c');
  await world.remove('c');
  await world.assertNoLeaks();
});

test('a client that gives up during create leaves nothing behind, and may try again', async (t) => {
  const world = await TaskWorld.start(t);
  const marker = join(world.bed.dir, 'in-hook');
  const change = (spec: { hooks?: object }): void => {
    spec.hooks = {
      createRuntime: [
        { path: '/bin/sh', args: ['sh', '-c', `cat > /dev/null; [ -e ${marker} ] || { echo > ${marker}; sleep 5; }`] },
      ],
    };
  };
  await world.createContainer('c', ['sleep', '1000'], { change });
  const create = world.tasks.create({ containerId: 'c' }, { timeoutMs: 1_000 });
  await assert.rejects(create, { code: codes.deadlineExceeded });
  await world.assertNoLeaks();
  await world.createTask('c');
  await world.remove('c');
  await world.assertNoLeaks();
});

test('a delete whose reply was lost may be repeated and gives the same answer; one that was heard is not found again', async (t) => {
  const world = await TaskWorld.start(t);
  const change = (spec: { hooks?: object }): void => {
    spec.hooks = { poststop: [{ path: '/bin/sh', args: ['sh', '-c', 'cat > /dev/null; sleep 1'] }] };
  };
  const pid = await world.run('c', ['sh', '-c', 'exit 6'], { change });
  const exit = await world.tasks.wait({ containerId: 'c' });
  const lost = world.tasks.delete({ containerId: 'c' }).catch((error: unknown) => error);
  await sleep(300);
  await world.restart();
  assert.ok((await lost) instanceof Error);
  await world.assertNoLeaks();
  const deleted = await world.tasks.delete({ containerId: 'c' });
  assert.deepEqual([deleted.pid, deleted.exitStatus, deleted.exitedAt], [pid, 6, exit.exitedAt]);
  await assert.rejects(world.tasks.delete({ containerId: 'c' }), { code: codes.notFound });
});

test('a task of an earlier boot is gone, as with containerd', async (t) => {
  const world = await TaskWorld.start(t);
  const pid = await world.run('c', ['sleep', '1000']);
  await world.kill();
  process.kill(world.shimPid('c'), 'SIGKILL');
  process.kill(pid, 'SIGKILL');
  await eventually(() => !existsSync(`/proc/${pid}`), { what: 'the process is gone' });
  spawnSync('runc', ['--root', join(world.daemon.state, 'runc', world.daemon.namespace), 'delete', '--force', 'c']);
  rmSync(world.daemon.state, { recursive: true });
  const { default: Sqlite } = await import('better-sqlite3');
  const sql = new Sqlite(join(world.daemon.root, 'metadata.db'));
  sql.exec("UPDATE shims SET boot_id = 'another'");
  sql.close();
  await world.up();
  await assert.rejects(world.tasks.get({ containerId: 'c' }), { code: codes.notFound });
  await world.createTask('c');
  await world.remove('c');
  await world.assertNoLeaks();
});

test('a daemon whose metadata was lost takes in what still runs', async (t) => {
  const world = await TaskWorld.start(t);
  const pid = await world.run('c', ['sleep', '1000']);
  await world.kill();
  const { default: Sqlite } = await import('better-sqlite3');
  const sql = new Sqlite(join(world.daemon.root, 'metadata.db'));
  sql.exec('DELETE FROM tasks; DELETE FROM shims; DELETE FROM shim_sequences');
  sql.close();
  await world.up();
  await eventually(async () => (await world.status('c').catch(() => 0)) === Status.RUNNING, {
    what: 'the task is known again',
  });
  assert.equal((await world.tasks.get({ containerId: 'c' })).process?.pid, pid);
  await world.remove('c');
  await world.assertNoLeaks();
});
