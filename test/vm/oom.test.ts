import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { unpackAny } from '../../common/any.ts';
import { TasksDefinition } from '../../proto/gen/containerd/services/tasks/v1/tasks.ts';
import { Metrics } from '../../proto/gen/io/containerd/cgroups/v2/cgroups_v2.ts';
import type { Daemon } from '../harness/daemon.ts';
import { must } from '../harness/exec.ts';
import { makeRootfs } from '../harness/rootfs.ts';
import { startSubject } from '../harness/subject.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { cgroupDrivers, requireVersion2 } from './cgroup-drivers.ts';
import { EventLog } from './event-log.ts';

// Containers that run out of memory where cgroups are version 2.

const bed = testBed();
let daemon: Daemon;
let rootfs: string;
let run: (flags: readonly string[], id: string, command: readonly string[]) => string[];
before(async () => {
  requireVersion2();
  daemon = await startSubject(bed);
  rootfs = makeRootfs(bed.path('rootfs'));
  run = (flags, id, command) => ['run', '--null-io', ...LIMIT, ...flags, '--rootfs', rootfs, id, ...command];
});

const LIMIT = ['--memory-limit', '33554432'];
/** Looks for the end of an endless line, and keeps all of it. */
const HOG = ['/bin/tail', '/dev/zero'];
const LIFE = ['/tasks/create', '/tasks/start', '/tasks/oom', '/tasks/exit', '/tasks/delete'];
const ENDS = new Set(['/tasks/oom', '/tasks/exit', '/tasks/delete']);

for (const [index, { name, flags, directory }] of cgroupDrivers.entries()) {
  test(`${name}: a container that is killed for want of memory is told as one OOM, then as exit 137`, async () => {
    const id = `init-${index}`;
    using events = new EventLog(daemon.address, daemon.namespace);
    const { status, stderr } = await daemon.ctr.run(run(['--rm', ...flags(daemon, id)], id, HOG));
    assert.equal(status, 137, stderr);
    assert.deepEqual(await events.topics(id), LIFE);
    assert.deepEqual(
      events.exits(id).map(({ exitStatus }) => exitStatus),
      [137],
    );
    assert.equal(existsSync(directory(daemon, id)), false);
  });

  test(`${name}: an exec that is killed for want of memory is told once, and the container goes on`, async () => {
    const id = `exec-${index}`;
    using events = new EventLog(daemon.address, daemon.namespace);
    await daemon.ctr.ok(...run(['-d', ...flags(daemon, id)], id, ['/bin/sleep', '1000']));
    const { status } = await daemon.ctr.run(['tasks', 'exec', '--exec-id', 'hog', id, ...HOG]);
    assert.equal(status, 137);
    assert.equal((await metricsOf(id))?.memoryEvents?.oomKill, 1n);
    await daemon.ctr.ok('tasks', 'rm', '-f', id);
    await daemon.ctr.ok('containers', 'rm', id);
    const ends = (await events.topics(id)).filter((topic) => ENDS.has(topic));
    assert.deepEqual(ends, ['/tasks/oom', '/tasks/exit', '/tasks/exit', '/tasks/delete']);
  });
}

test('an OOM kill while the daemon is down is told by the next one, once and before the exit', async () => {
  const pid = await startAtGate('away');
  await daemon.kill9();
  await openGate('away');
  await eventually(() => !existsSync(`/proc/${pid}`), { what: 'its end' });
  await daemon.start();
  using events = new EventLog(daemon.address, daemon.namespace);
  assert.match((await daemon.ctr.run(['tasks', 'rm', 'away'])).stderr, /non-zero exit code 137/);
  assert.deepEqual(await events.topics('away'), LIFE);
  await daemon.ctr.ok('containers', 'rm', 'away');
});

test('of many containers that run out of memory at once, each is told as one OOM, then one exit', async () => {
  const ids = Array.from({ length: 6 }, (_, index) => `many-${index}`);
  using events = new EventLog(daemon.address, daemon.namespace);
  for (const id of ids) await startAtGate(id);
  await Promise.all(ids.map(openGate));
  for (const id of ids) {
    await eventually(async () => /exit code 137/.test((await daemon.ctr.run(['tasks', 'rm', id])).stderr));
    assert.deepEqual(await events.topics(id), LIFE, id);
    await daemon.ctr.ok('containers', 'rm', id);
  }
});

const gateOf = (id: string): string => join(rootfs, 'tmp', id);

/** A container that takes all the memory it has once its gate is opened. Gives its process id. */
const startAtGate = async (id: string): Promise<number> => {
  await must('mkfifo', [gateOf(id)]);
  await daemon.ctr.ok(...run(['-d'], id, ['/bin/sh', '-c', 'read x < /tmp/$0; exec tail /dev/zero', id]));
  return Number(new RegExp(`^${id} +(\\d+)`, 'm').exec(await daemon.ctr.ok('tasks', 'ls'))?.[1]);
};

/** Returns when it has read. */
const openGate = (id: string): Promise<unknown> => must('sh', ['-c', 'echo > "$0"', gateOf(id)]);

const metricsOf = async (id: string): Promise<Metrics | undefined> => {
  const client = daemon.client();
  try {
    const { metrics } = await client.service(TasksDefinition).metrics({ filters: [`id==${id}`] });
    return unpackAny(metrics[0]?.data, 'io.containerd.cgroups.v2.Metrics', Metrics);
  } finally {
    client.close();
  }
};
