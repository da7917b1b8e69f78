import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { packAny } from '../../common/any.ts';
import { Options } from '../../proto/gen/containerd/runc/v1/runc_options.ts';
import { Status } from '../../proto/gen/containerd/v1/types/task_types.ts';
import { must } from '../harness/exec.ts';
import { Session } from '../harness/session.ts';
import { TaskWorld } from '../integration/tasks-harness.ts';
import { EventLog } from './event-log.ts';

// What a container has of our daemon after it was restored from a checkpoint: its output, its adoption, its events.

before(() => must('criu', ['check']));

// criu cannot take up a FIFO that is in no mount of the container.
const PIPES = { config: '[tasks]\nstdio = "pipe"\n' };
const SCRIPT = 'i=0; while :; do i=$((i + 1)); echo "line $i"; sleep 0.2; done';

test('a restored container prints to its new client, outlives its daemon, and is adopted by the next', async (t) => {
  const world = await TaskWorld.start(t, PIPES);
  const { ctr, address, namespace } = world.daemon;
  const [image, stdout] = [world.bed.folder('image'), world.bed.path('stdout')];
  const first = ctr.attach(['run', '--rootfs', world.rootfs, 'c', '/bin/sh', '-c', SCRIPT]);
  await first.says('line 2\n');
  await ctr.ok('tasks', 'checkpoint', '--exit', '--image-path', image, 'c');
  const { status, stdout: before } = await first.end(); // ctr has deleted the task then
  assert.equal(status, 137);

  await must('mkfifo', [stdout]);
  const second = new Session(['cat', stdout]);
  const options = packAny('containerd.runc.v1.Options', Options, Options.create({ criuImagePath: image }));
  await world.createTask('c', { options, stdout });
  await world.tasks.start({ containerId: 'c' });
  const next = Number(/(\d+)\n$/.exec(before)?.[1]) + 1;
  await second.says(`line ${next + 1}\n`);
  assert.equal(second.stdout.slice(0, second.stdout.indexOf('\n')), `line ${next}`);

  await world.restart();
  assert.equal(await world.status('c'), Status.RUNNING);
  const { length } = second.stdout;
  await second.says(new RegExp(`^[^]{${length}}(line|\\n)`));
  await world.signal('c');
  assert.equal((await world.tasks.wait({ containerId: 'c' })).exitStatus, 137);
  assert.equal((await second.end()).status, 0);
  await world.tasks.delete({ containerId: 'c' });
  using events = new EventLog(address, namespace);
  await world.containers.delete({ id: 'c' });
  const lives = [
    ['create', 'start', 'paused', 'checkpointed', 'exit', 'delete'], // ctr pauses it before
    ['create', 'start', 'exit', 'delete'],
  ];
  assert.deepEqual(
    await events.topics('c', 2),
    lives.flat().map((what) => `/tasks/${what}`),
  );
  await world.assertNoLeaks();
});
