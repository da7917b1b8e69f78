import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codes } from '../../common/errdefs.ts';
import { nanosFromTimestamp } from '../../common/timestamp.ts';
import { nowNanos } from '../../native/index.ts';
import { Status } from '../../proto/gen/containerd/v1/types/task_types.ts';
import { TaskWorld } from './tasks-harness.ts';

const fails = (code: number, message: RegExp) => (error: { code?: number; details?: string }) => {
  assert.equal(error.code, code, String(error.details));
  assert.match(error.details ?? '', message);
  return true;
};

test('a task is created, started, ends and is deleted, and nothing of it is left', async (t) => {
  const world = await TaskWorld.start(t);
  await world.createContainer('c', ['sh', '-c', 'exit 7']);
  const { pid } = await world.createTask('c');
  assert.equal(await world.status('c'), Status.CREATED);
  const waiting = world.tasks.wait({ containerId: 'c' });
  assert.equal((await world.tasks.start({ containerId: 'c' })).pid, pid);
  const exit = await waiting;
  assert.equal(exit.exitStatus, 7);
  const age = nowNanos() - nanosFromTimestamp(exit.exitedAt);
  assert.ok(age >= 0n && age < 10_000_000_000n);
  assert.equal(await world.status('c'), Status.STOPPED);
  assert.deepEqual(await world.tasks.wait({ containerId: 'c' }), exit, 'again, at once');
  const deleted = await world.tasks.delete({ containerId: 'c' });
  assert.deepEqual([deleted.pid, deleted.exitStatus, deleted.exitedAt], [pid, 7, exit.exitedAt]);
  await assert.rejects(world.tasks.get({ containerId: 'c' }), fails(codes.notFound, /^task c not found$/));
  await world.containers.delete({ id: 'c' });
  await world.assertNoLeaks();
});

test('a task that was never started can be deleted', async (t) => {
  const world = await TaskWorld.start(t);
  await world.createContainer('c', ['sleep', '100']);
  const { pid } = await world.createTask('c');
  assert.equal((await world.tasks.delete({ containerId: 'c' })).pid, pid);
  await world.assertNoLeaks();
});

test('the same name can be used again at once, again and again', async (t) => {
  const world = await TaskWorld.start(t);
  await world.createContainer('c', ['true']);
  for (let round = 0; round < 5; round += 1) {
    await world.createTask('c');
    await world.tasks.start({ containerId: 'c' });
    await world.tasks.wait({ containerId: 'c' });
    await world.tasks.delete({ containerId: 'c' });
  }
  await world.assertNoLeaks();
});

test('what cannot be done is refused with the code and the words of containerd', async (t) => {
  const world = await TaskWorld.start(t);
  const nobody = { containerId: 'nobody' };
  const noContainer = fails(codes.notFound, /^container "nobody" in namespace "[^"]+": not found$/);
  await assert.rejects(world.createTask('nobody'), noContainer);
  await assert.rejects(world.tasks.get(nobody), noContainer);
  await assert.rejects(world.tasks.delete({ containerId: 'nobody' }), noContainer);

  await world.createContainer('c', ['sleep', '100']);
  const noTask = fails(codes.notFound, /^task c not found$/);
  await assert.rejects(world.tasks.get({ containerId: 'c' }), noTask);
  await assert.rejects(world.tasks.start({ containerId: 'c' }), noTask);
  await assert.rejects(world.tasks.wait({ containerId: 'c' }), noTask);
  await assert.rejects(world.signal('c'), noTask);
  await assert.rejects(world.tasks.delete({ containerId: 'c' }), noTask);

  await world.createTask('c');
  await assert.rejects(world.createTask('c'), fails(codes.alreadyExists, /^task c: already exists$/));
  await world.tasks.start({ containerId: 'c' });
  await assert.rejects(
    world.tasks.delete({ containerId: 'c' }),
    fails(codes.failedPrecondition, /cannot delete a running process/),
  );
  await assert.rejects(world.tasks.start({ containerId: 'c' }), fails(codes.unknown, /cannot start a running process/));
  await assert.rejects(
    world.tasks.get({ containerId: 'c', execId: 'x' }),
    fails(codes.notFound, /^process does not exist x: not found$/),
  );
  await assert.rejects(world.addExec('c', '', ['true']), fails(codes.invalidArgument, /^exec id cannot be empty$/));
  await world.remove('c');
});

test('a runtime that is not there is said in containerd’s words, and nothing is left', async (t) => {
  const world = await TaskWorld.start(t);
  await world.createContainer('c', ['true'], { runtime: 'io.containerd.nope.v1' });
  const words =
    'failed to start shim: failed to resolve runtime path: runtime "io.containerd.nope.v1" binary not installed "containerd-shim-nope-v1": file does not exist';
  await assert.rejects(world.createTask('c'), fails(codes.unknown, new RegExp(`^${words}$`)));
  await world.assertNoLeaks();
});

test('a create that the runtime refuses gives the runtime’s reason, and nothing is left', async (t) => {
  const world = await TaskWorld.start(t);
  await world.createContainer('c', ['/no/such/program']);
  await assert.rejects(
    world.createTask('c'),
    fails(codes.unknown, /^failed to create shim task: OCI runtime create failed: .*no such file or directory/),
  );
  await world.assertNoLeaks();
});

test('an exec runs beside the task and gives its own status; one that is refused can only be deleted', async (t) => {
  const world = await TaskWorld.start(t);
  await world.run('c', ['sleep', '100']);
  assert.equal(await world.exec('c', 'x', ['sh', '-c', 'exit 3']), 3);
  assert.equal(await world.exec('c', 'x', ['true']), 0, 'the same name again');

  await world.addExec('c', 'bad', ['/no/such/program']);
  const waiting = world.tasks.wait({ containerId: 'c', execId: 'bad' });
  await assert.rejects(
    world.tasks.start({ containerId: 'c', execId: 'bad' }),
    fails(codes.unknown, /OCI runtime exec failed/),
  );
  assert.equal((await waiting).exitStatus, 255);
  await world.tasks.deleteProcess({ containerId: 'c', execId: 'bad' });
  await assert.rejects(
    world.tasks.deleteProcess({ containerId: 'c', execId: 'bad' }),
    fails(codes.notFound, /process does not exist bad/),
  );

  await world.addExec('c', 'long', ['sleep', '100']);
  await assert.rejects(world.addExec('c', 'long', ['true']), fails(codes.alreadyExists, /already exists/));
  await world.tasks.start({ containerId: 'c', execId: 'long' });
  await world.signal('c', 9, 'long');
  assert.equal((await world.tasks.wait({ containerId: 'c', execId: 'long' })).exitStatus, 137);
  await world.remove('c');
  await world.assertNoLeaks();
});

test('pause, resume, pids, metrics and update reach the container', async (t) => {
  const world = await TaskWorld.start(t);
  const pid = await world.run('c', ['sleep', '100']);
  await world.tasks.pause({ containerId: 'c' });
  assert.equal(await world.status('c'), Status.PAUSED);
  await world.tasks.resume({ containerId: 'c' });
  assert.equal(await world.status('c'), Status.RUNNING);
  const { processes } = await world.tasks.listPids({ containerId: 'c' });
  assert.deepEqual(
    processes.map((one) => one.pid),
    [pid],
  );
  const { metrics } = await world.tasks.metrics({ filters: ['id==c'] });
  assert.match(metrics[0]?.data?.typeUrl ?? '', /^io\.containerd\.cgroups\.v[12]\.Metrics$/);
  assert.deepEqual((await world.tasks.metrics({ filters: ['id==other'] })).metrics, []);
  const value = Buffer.from(JSON.stringify({ cpu: { shares: 512 } }));
  const resources = { typeUrl: 'types.containerd.io/opencontainers/runtime-spec/1/LinuxResources', value };
  await world.tasks.update({ containerId: 'c', resources, annotations: new Map() });
  await world.remove('c');
});

test('containers of one group share a shim, which ends with the last of them', async (t) => {
  const world = await TaskWorld.start(t);
  const change = (spec: { annotations?: Record<string, string> }): void => {
    spec.annotations = { 'io.containerd.runc.v2.group': 'g' };
  };
  await world.run('a', ['sleep', '100'], { change });
  const shim = world.shimPid('g');
  await world.run('b', ['sleep', '100'], { change });
  assert.equal(world.shimPid('g'), shim);
  await world.remove('a');
  assert.equal(await world.status('b'), Status.RUNNING);
  assert.equal(world.shimPid('g'), shim);
  await world.remove('b');
  await world.assertNoLeaks();
});
