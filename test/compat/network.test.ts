import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { exec, must } from '../harness/exec.ts';
import { testBed } from '../harness/temp.ts';
import { compareSides } from './sides.ts';

// Between Create and Start a network is moved into the task's namespace, as every container network plugin does.

const bed = testBed();
const compare = compareSides(bed);
const ID = 'a';

compare(
  'a veth that is moved in between Create and Start is there at the first act of the process',
  async (side) => {
    // An interface's name has at most 15 bytes.
    const [outside, inside] = [`${bed.name}${side.daemon.name[0]}o`, `${bed.name}${side.daemon.name[0]}i`];
    await side.create(ID, ['/bin/sh', '-c', 'ip -o address show eth0 > /tmp/seen']);
    const { pid } = await side.tasks.create({ containerId: ID });
    await must('ip', ['link', 'add', outside, 'type', 'veth', 'peer', 'name', inside]);
    try {
      await must('ip', ['link', 'set', inside, 'netns', String(pid)]);
      const enter = ['--target', String(pid), '--net', 'ip'];
      await must('nsenter', [...enter, 'link', 'set', inside, 'name', 'eth0']);
      await must('nsenter', [...enter, 'address', 'add', '10.9.8.7/24', 'dev', 'eth0']);
      await must('nsenter', [...enter, 'link', 'set', 'eth0', 'up']);
      await side.tasks.start({ containerId: ID });
      const { exitStatus } = await side.tasks.wait({ containerId: ID });
      const seen = readFileSync(`${side.rootfs}/tmp/seen`, 'utf8');
      return { exitStatus, address: /inet (\S+)/.exec(seen)?.[1] };
    } finally {
      await exec('ip', ['link', 'delete', outside]);
    }
  },
  (seen) => assert.deepEqual(seen, { exitStatus: 0, address: '10.9.8.7/24' }),
);

compare(
  'the pid that Create gives is that of the process that Start starts',
  async (side) => {
    await side.create(ID, ['/bin/sleep', '1000']);
    const created = await side.tasks.create({ containerId: ID });
    const state = await side.tasks.get({ containerId: ID });
    const started = await side.tasks.start({ containerId: ID });
    return {
      same: created.pid === started.pid && state.process?.pid === created.pid,
      status: state.process?.status,
    };
  },
  (seen) => assert.deepEqual(seen, { same: true, status: 1 }),
);

test('no interface of this file is left', async () => {
  assert.ok(!(await must('ip', ['-o', 'link'])).includes(bed.name));
});
