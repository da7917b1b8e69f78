import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { before, test } from 'node:test';
import { unpackAny } from '../../common/any.ts';
import { TasksDefinition } from '../../proto/gen/containerd/services/tasks/v1/tasks.ts';
import { Metrics } from '../../proto/gen/io/containerd/cgroups/v2/cgroups_v2.ts';
import type { Daemon } from '../harness/daemon.ts';
import { makeRootfs } from '../harness/rootfs.ts';
import { startSubject } from '../harness/subject.ts';
import { testBed } from '../harness/temp.ts';
import { cgroupDrivers, requireVersion2 } from './cgroup-drivers.ts';
import { EventLog } from './event-log.ts';

// Containers that run out of memory where cgroups are version 2.

const bed = testBed();
let daemon: Daemon;
let run: (flags: readonly string[], id: string, command: readonly string[]) => string[];
before(async () => {
  requireVersion2();
  daemon = await startSubject(bed);
  const rootfs = makeRootfs(bed.path('rootfs'));
  run = (flags, id, command) => ['run', '--null-io', ...LIMIT, ...flags, '--rootfs', rootfs, id, ...command];
});

const LIMIT = ['--memory-limit', '33554432'];
/** Looks for the end of an endless line, and keeps all of it. */
const HOG = ['/bin/tail', '/dev/zero'];
const ENDS = new Set(['/tasks/oom', '/tasks/exit', '/tasks/delete']);

for (const [index, { name, flags, directory }] of cgroupDrivers.entries()) {
  test(`${name}: a container that is killed for want of memory is told as one OOM, then as exit 137`, async () => {
    const id = `init-${index}`;
    using events = new EventLog(daemon.address, daemon.namespace);
    const { status, stderr } = await daemon.ctr.run(run(['--rm', ...flags(daemon, id)], id, HOG));
    assert.equal(status, 137, stderr);
    const topics = ['/tasks/create', '/tasks/start', '/tasks/oom', '/tasks/exit', '/tasks/delete'];
    assert.deepEqual(await events.topics(id, '/tasks/delete'), topics);
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
    const ends = (await events.topics(id, '/tasks/delete')).filter((topic) => ENDS.has(topic));
    assert.deepEqual(ends, ['/tasks/oom', '/tasks/exit', '/tasks/exit', '/tasks/delete']);
  });
}

const metricsOf = async (id: string): Promise<Metrics | undefined> => {
  const client = daemon.client();
  try {
    const { metrics } = await client.service(TasksDefinition).metrics({ filters: [`id==${id}`] });
    return unpackAny(metrics[0]?.data, 'io.containerd.cgroups.v2.Metrics', Metrics);
  } finally {
    client.close();
  }
};
