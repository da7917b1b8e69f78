import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { codes } from '../../common/errdefs.ts';
import { Status } from '../../proto/gen/containerd/v1/types/task_types.ts';
import { fill } from '../harness/disk.ts';
import { must } from '../harness/exec.ts';
import { Bed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { zygotesOf } from '../harness/zygotes.ts';
import { exitsOf, TaskWorld } from './tasks-harness.ts';

// Moments at which an exit, a process or a whole container could be lost, or invented.

test('an exit that happens while the state directory is full is told, and Wait does not hang', async (t) => {
  const world = await TaskWorld.start(t, { stateBytes: 2 << 20 });
  await world.run('c', ['sh', '-c', 'sleep 1; exit 5']);
  const filler = join(world.daemon.state, 'filler');
  fill(filler);
  const { exitStatus } = await world.tasks.wait({ containerId: 'c' }, { timeoutMs: 10_000 });
  assert.equal(exitStatus, 5);
  rmSync(filler);
  await eventually(async () => exitsOf(await world.history(), 'c').length === 1, { what: 'its event' });
  await world.remove('c');
  const own = `mount ${world.daemon.state}`;
  await eventually(() => world.leaks().every((leak) => leak === own), { what: 'nothing to be left but its own mount' });
});

test('a start of an exec that is cut short invents no exit', async (t) => {
  const world = await TaskWorld.start(t);
  await world.run('c', ['sleep', '1000']);
  await world.addExec('c', 'x', ['sh', '-c', 'sleep 1; exit 6']);
  const wait = world.tasks.wait({ containerId: 'c', execId: 'x' }, { timeoutMs: 20_000 });
  const cut = world.tasks.start({ containerId: 'c', execId: 'x' }, { timeoutMs: 8 });
  await assert.rejects(cut);
  // It went on: a start under way is not torn up.
  assert.equal((await wait).exitStatus, 6);
  assert.equal((await world.tasks.deleteProcess({ containerId: 'c', execId: 'x' })).exitStatus, 6);
  await world.remove('c');
  await world.assertNoLeaks();
});

test('a shim that is killed while it starts an exec leaves no process behind that nobody knows of', async (t) => {
  const world = await TaskWorld.start(t);
  await world.run('c', ['sleep', '1000']);
  for (const [round, ms] of [3, 10, 15, 20, 30].entries()) {
    const execId = `x${round}`;
    await world.addExec('c', execId, ['sleep', `99${round}`]);
    const started = world.tasks.start({ containerId: 'c', execId }).catch(() => undefined);
    await sleep(ms);
    process.kill(world.shimPid('c'), 'SIGKILL');
    await started;
    // Either it runs and is known, or it never ran and never will, or the start did not get as far as to be begun.
    const known = async (): Promise<boolean> => (await world.status('c', execId)) >= Status.RUNNING;
    await eventually(known, { ms: 4_000 }).catch(() => world.tasks.start({ containerId: 'c', execId }));
    assert.ok(sleepers(`99${round}`) <= 1, 'it was not started twice');
    if ((await world.status('c', execId)) === Status.RUNNING) await world.signal('c', 9, execId);
    await world.tasks.wait({ containerId: 'c', execId }, { timeoutMs: 10_000 });
    await eventually(() => sleepers(`99${round}`) === 0, { what: `no sleep 99${round}` });
    await world.tasks.deleteProcess({ containerId: 'c', execId });
  }
  await world.remove('c');
  await world.assertNoLeaks();
});

test('what a cut creation has left in the runtime’s state does not stand in the way of the next', async (t) => {
  const world = await TaskWorld.start(t);
  const { state, namespace } = world.daemon;
  const place = join(state, 'runc', namespace, 'c');
  mkdirSync(place, { recursive: true });
  await world.run('c', ['sleep', '1000']);
  assert.equal(await world.exec('c', 'x', ['true']), 0);
  await world.remove('c');
  await world.assertNoLeaks();
});

test('an exec that never ran does not get its container’s status', async (t) => {
  const world = await TaskWorld.start(t);
  await world.run('c', ['sh', '-c', 'sleep 0.5; exit 7']);
  await world.addExec('c', 'x', ['true']);
  const wait = world.tasks.wait({ containerId: 'c', execId: 'x' }, { timeoutMs: 20_000 });
  await world.tasks.wait({ containerId: 'c' });
  await world.tasks.delete({ containerId: 'c' });
  assert.equal((await wait).exitStatus, 255);
  await world.containers.delete({ id: 'c' });
});

test('a zygote that hangs, or has just died, costs a create nothing but a moment', async (t) => {
  const world = await TaskWorld.start(t);
  const current = (): Promise<number> => eventually(() => zygotesOf(world.daemon.pid)[0], { what: 'a zygote' });
  for (const signal of ['SIGSTOP', 'SIGKILL'] as const) {
    const zygote = await current();
    process.kill(zygote, signal);
    await world.run('c', ['true']);
    if (signal === 'SIGSTOP') await eventually(async () => (await current()) !== zygote, { what: 'it to go' });
    await world.remove('c');
  }
  await world.assertNoLeaks();
});

test('a second daemon on the same state refuses to start, and the first one’s containers live', async (t) => {
  const world = await TaskWorld.start(t);
  const pid = await world.run('c', ['sleep', '1000']);
  const other = new Bed();
  t.after(() => other.remove());
  const args = ['--root', other.path('r'), '--state', world.daemon.state, '--address', other.path('h.sock')];
  const refused = must(join(import.meta.dirname, '../../bin/holdfastd'), args, { timeoutMs: 10_000 });
  await assert.rejects(refused, new RegExp(`state ${world.daemon.state} is in use by another daemon`));
  assert.equal((await world.tasks.get({ containerId: 'c' })).process?.pid, pid);
  await world.remove('c');
});

test('a filter that would take for ever is refused, and the daemon answers on', async (t) => {
  const world = await TaskWorld.start(t);
  const filters = ['id~=|((((){1000}){1000}){1000}){1000}|'];
  await assert.rejects(
    world.containers.list({ filters }),
    (error: { code: number }) => error.code === codes.invalidArgument,
  );
  assert.deepEqual((await world.containers.list({})).containers, []);
});

const sleepers = (seconds: string): number => commands().filter((line) => line === `sleep\0${seconds}\0`).length;

const commands = (): string[] => readdirSync('/proc').map((pid) => textOf(pid, 'cmdline'));

const textOf = (pid: string, file: string): string => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
};
