import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { codes } from '../../common/errdefs.ts';
import { Status } from '../../proto/gen/containerd/v1/types/task_types.ts';
import { eventually } from '../harness/wait.ts';
import { zygotesOf } from '../harness/zygotes.ts';
import { GO_SHIM, type Spec, TaskWorld } from './tasks-harness.ts';

const parentOf = (pid: number): number =>
  Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

/** Less than any deadline of a call to a shim that hangs, and more than a busy machine takes for what does not wait. */
const STUCK_MS = 4_000;

/** How long it takes, ms. */
const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
};

const alive = (pid: number): boolean => {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z');
  } catch {
    return false;
  }
};

test('a shim that is killed is replaced, and the container notices nothing', async (t) => {
  const world = await TaskWorld.start(t);
  const pid = await world.run('c', ['sleep', '1000']);
  const before = world.shimPid('c');
  process.kill(before, 'SIGKILL');
  assert.equal(await world.exec('c', 'x', ['true']), 0, 'a call waits for the new one');
  assert.notEqual(world.shimPid('c'), before);
  const { process: task } = await world.tasks.get({ containerId: 'c' });
  assert.deepEqual([task?.pid, task?.status], [pid, Status.RUNNING]);
  await world.remove('c');
  await world.assertNoLeaks();
});

test('a shim that died together with the daemon is replaced by the next daemon', async (t) => {
  const world = await TaskWorld.start(t);
  const pid = await world.run('c', ['sleep', '1000']);
  await world.kill();
  process.kill(world.shimPid('c'), 'SIGKILL');
  await world.up();
  assert.equal((await world.tasks.get({ containerId: 'c' })).process?.pid, pid);
  assert.equal(await world.exec('c', 'x', ['true']), 0);
  await world.remove('c');
  await world.assertNoLeaks();
});

test('of a group whose first member is gone the others outlive shim and daemon, and each tells how it ended', async (t) => {
  const world = await TaskWorld.start(t);
  const change = (spec: Spec): void => {
    spec.annotations = { 'io.containerd.runc.v2.group': 'g' };
  };
  await world.run('first', ['sleep', '1000'], { change });
  const pids = [
    await world.run('second', ['sh', '-c', 'while [ ! -e /tmp/go ]; do sleep 0.05; done; exit 6'], { change }),
    await world.run('third', ['sleep', '1000'], { change }),
  ];
  await world.remove('first');
  const shim = world.shimPid('g');
  await world.kill();
  process.kill(shim, 'SIGKILL');
  await world.up();
  const known = async (id: string) => (await world.tasks.get({ containerId: id })).process?.pid;
  assert.deepEqual([await known('second'), await known('third')], pids);
  assert.equal(await world.exec('third', 'x', ['sh', '-c', 'touch /tmp/go; exit 3']), 3);
  assert.equal((await world.tasks.wait({ containerId: 'second' })).exitStatus, 6);
  assert.notEqual(world.shimPid('g'), shim);
  await world.run('fourth', ['true'], { change });
  assert.equal((await world.tasks.wait({ containerId: 'fourth' })).exitStatus, 0);
  await Promise.all(['second', 'third', 'fourth'].map((id) => world.remove(id)));
  await world.assertNoLeaks();
});

test('a container that ended with its shim killed reports what the record says', async (t) => {
  const world = await TaskWorld.start(t);
  await world.run('c', ['sh', '-c', 'exit 4']);
  await world.tasks.wait({ containerId: 'c' });
  process.kill(world.shimPid('c'), 'SIGKILL');
  assert.equal((await world.tasks.delete({ containerId: 'c' })).exitStatus, 4);
  await world.assertNoLeaks();
});

test('a shim that hangs costs its own container and no other, and is as before when it goes on', async (t) => {
  const world = await TaskWorld.start(t);
  const pid = await world.run('stuck', ['sleep', '1000']);
  await world.run('fine', ['sleep', '1000']);
  const usual = await timed(() => world.restart());
  const shim = world.shimPid('stuck');
  process.kill(shim, 'SIGSTOP');
  assert.equal(await world.status('stuck'), Status.RUNNING, 'what is known is told');
  const calls: Promise<unknown>[] = [
    world.tasks.kill({ containerId: 'stuck', signal: 0 }),
    world.tasks.listPids({ containerId: 'stuck' }),
    world.tasks.pause({ containerId: 'stuck' }),
    world.tasks.resizePty({ containerId: 'stuck', width: 80, height: 24 }),
  ];
  const refused = calls.map((call) => assert.rejects(call, { code: codes.deadlineExceeded }));
  assert.ok((await timed(() => world.exec('fine', 'x', ['true']))) < STUCK_MS, 'others do not wait for it');
  await Promise.all(refused); // each within its own bound, 15 s at most
  assert.ok((await timed(() => world.restart())) < usual + STUCK_MS, 'the daemon does not wait for it');
  assert.equal(await world.status('stuck'), Status.RUNNING);
  assert.equal(await world.exec('fine', 'y', ['true']), 0);
  process.kill(shim, 'SIGCONT');
  await world.tasks.resume({ containerId: 'stuck' }).catch(() => undefined); // the pause may have been heard
  await eventually(async () => (await world.status('stuck')) === Status.RUNNING);
  assert.equal(await world.exec('stuck', 'z', ['sh', '-c', 'exit 5']), 5);
  assert.deepEqual(
    [(await world.tasks.get({ containerId: 'stuck' })).process?.pid, world.shimPid('stuck')],
    [pid, shim],
  );
  await world.remove('stuck');
  await world.remove('fine');
  await world.assertNoLeaks();
});

test('shims are forked from a zygote, which ends with its daemon; they do not', async (t) => {
  const world = await TaskWorld.start(t);
  const [first = 0] = await eventually(() => zygotesOf(world.daemon.pid).length === 1 && zygotesOf(world.daemon.pid));
  await world.run('c', ['sleep', '1000']);
  await world.run('d', ['sleep', '1000']);
  const shims = [world.shimPid('c'), world.shimPid('d')];
  assert.deepEqual(shims.map(parentOf), [first, first]);
  assert.match(
    readFileSync(`/proc/${shims[0]}/cmdline`, 'utf8'),
    /^containerd-shim-holdfast-v1 -namespace \S+ -id c -add/,
  );
  await world.kill();
  await eventually(() => !alive(first), { what: 'the end of the zygote' });
  assert.ok(shims.every(alive));
  await world.up();
  assert.equal(await world.exec('c', 'x', ['true']), 0);
  const [second = 0] = await eventually(() => zygotesOf(world.daemon.pid).length === 1 && zygotesOf(world.daemon.pid));
  process.kill(second, 'SIGKILL');
  await eventually(() => zygotesOf(world.daemon.pid).some((pid) => pid !== second), { what: 'another in its place' });
  await Promise.all(['c', 'd'].map((id) => world.remove(id)));
  await eventually(() => !shims.some(alive), { what: 'the end of the shims' });
  await world.assertNoLeaks();
});

test('a shim whose zygote lives is no zombie once it has ended', async (t) => {
  const world = await TaskWorld.start(t);
  await world.run('c', ['sleep', '1000']);
  const shim = world.shimPid('c');
  const zygote = parentOf(shim);
  await world.remove('c');
  await eventually(() => !existsSync(`/proc/${shim}`), { what: 'its parent to reap it' });
  assert.deepEqual(zygotesOf(world.daemon.pid), [zygote]);
});

test('without a zygote each shim is a process of its own', async (t) => {
  const world = await TaskWorld.start(t, { config: '[tasks]\nzygote = false\n' });
  await world.run('c', ['sleep', '1000']);
  assert.equal(parentOf(world.shimPid('c')), world.daemon.pid);
  assert.deepEqual(zygotesOf(world.daemon.pid), []);
  await world.remove('c');
  await world.assertNoLeaks();
});

test('many containers at once all start', async (t) => {
  const world = await TaskWorld.start(t);
  const ids = Array.from({ length: 12 }, (_, index) => `c${index}`);
  await Promise.all(ids.map((id) => world.run(id, ['sleep', '1000'])));
  const { tasks } = await world.tasks.list({});
  assert.deepEqual(tasks.map(({ id }) => id).sort(), [...ids].sort());
  await Promise.all(ids.map((id) => world.remove(id)));
  await world.assertNoLeaks();
});

test('a Go shim by its path runs a container, survives our restart, and tells of an exit that we missed', async (t) => {
  const world = await TaskWorld.start(t);
  const pid = await world.run('c', ['sh', '-c', 'sleep 0.7; exit 9'], { runtime: GO_SHIM });
  await world.run('d', ['sleep', '1000'], { runtime: GO_SHIM });
  await world.kill();
  await sleep(1200);
  await world.up();
  await eventually(async () => (await world.status('c')) === Status.STOPPED, { what: 'the exit is known' });
  const exit = await world.tasks.wait({ containerId: 'c' });
  const deleted = await world.tasks.delete({ containerId: 'c' });
  assert.deepEqual([deleted.pid, deleted.exitStatus, deleted.exitedAt], [pid, 9, exit.exitedAt]);
  assert.equal(await world.exec('d', 'x', ['sh', '-c', 'exit 2']), 2);
  await world.remove('d');
  await world.assertNoLeaks();
});

test('a Go shim that is killed takes its container along: 137, and the task is gone, as with containerd', async (t) => {
  const world = await TaskWorld.start(t);
  await world.run('c', ['sleep', '1000'], { runtime: GO_SHIM });
  const wait = world.tasks.wait({ containerId: 'c' });
  const [shim = ''] = readdirSync('/proc').filter((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return command.startsWith(GO_SHIM) && command.includes(world.bed.dir);
    } catch {
      return false;
    }
  });
  process.kill(Number(shim), 'SIGKILL');
  assert.equal((await wait).exitStatus, 137);
  await eventually(
    () =>
      world.tasks.get({ containerId: 'c' }).then(
        () => false,
        (error: { code?: number }) => error.code === codes.notFound,
      ),
    { what: 'the task to be gone' },
  );
  await world.containers.delete({ id: 'c' });
  await world.assertNoLeaks();
});
