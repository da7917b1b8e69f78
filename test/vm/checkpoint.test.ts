import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { before } from 'node:test';
import { packAny } from '../../common/any.ts';
import { Options } from '../../proto/gen/containerd/runc/v1/runc_options.ts';
import { compareSides, type Side } from '../compat/sides.ts';
import { must } from '../harness/exec.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';

// Checkpoints into a directory, and containers that are restored from it, with a criu that works.

const bed = testBed();
const compare = compareSides(bed);
before(() => must('criu', ['check']));

/** Counts on, with a number in its memory that nothing else knows; ends with 9 when it is asked to. */
const COUNTER = `echo $RANDOM > /tmp/token; token=$(cat /tmp/token); rm /tmp/token
  i=0; while [ ! -e /tmp/stop ]; do i=$((i + 1)); echo "$token $i" > /tmp/new; mv /tmp/new /tmp/count; sleep 0.05; done
  rm /tmp/stop; exit 9`;

const count = ({ rootfs }: Side): { token: string; value: number } => {
  const [token = '', value] = readFileSync(`${rootfs}/tmp/count`, 'utf8').split(' ');
  return { token, value: Number(value) };
};

/** Waits until it has counted on. */
const countsOn = (side: Side, from: number): Promise<boolean> =>
  eventually(() => count(side).value > from + 2, { what: `a count above ${from + 2}` });

const start = async (side: Side): Promise<void> => {
  rmSync(`${side.rootfs}/tmp/count`, { force: true });
  await side.start('a', { command: ['/bin/sh', '-c', COUNTER] });
  await countsOn(side, 0);
};

/** A new task for the container `a`, out of the image of a checkpoint. */
const restore = async (side: Side, image: string, stdio: { stdout?: string } = {}): Promise<void> => {
  const options = packAny('containerd.runc.v1.Options', Options, Options.create({ criuImagePath: image }));
  await side.tasks.create({ containerId: 'a', options, ...stdio });
  await side.tasks.start({ containerId: 'a' });
};

compare(
  'a container goes on when its checkpoint has been taken',
  async (side) => {
    await start(side);
    const pid = await side.pid('a');
    await side.ctr.ok('tasks', 'checkpoint', '--image-path', bed.folder(side.daemon.name, 'running'), 'a');
    await countsOn(side, count(side).value);
    return [(await side.pid('a')) === pid, await status(side)];
  },
  (seen) => assert.deepEqual(seen, [true, 'RUNNING']),
);

compare(
  'a container that ended with its checkpoint is restored: it counts on from where it was, and ends as it would have',
  async (side) => {
    await start(side);
    const image = bed.folder(side.daemon.name, 'exited');
    await side.ctr.ok('tasks', 'checkpoint', '--exit', '--image-path', image, 'a');
    await eventually(async () => (await status(side)) === 'STOPPED');
    const left = count(side);
    await side.ctr.run(['tasks', 'rm', 'a']);
    await restore(side, image);
    await countsOn(side, left.value);
    const now = count(side);
    const running = await status(side);
    writeFileSync(`${side.rootfs}/tmp/stop`, '');
    const { exitStatus } = await side.tasks.wait({ containerId: 'a' });
    const { exitStatus: deleted } = await side.tasks.delete({ containerId: 'a' });
    return { same: now.token === left.token && left.token !== '', running, exitStatus, deleted };
  },
  (seen) => assert.deepEqual(seen, { same: true, running: 'RUNNING', exitStatus: 9, deleted: 9 }),
);

compare(
  'a checkpoint that fails is an error, and the container goes on',
  async (side) => {
    await start(side);
    const failed = await side.ctr.run(['tasks', 'checkpoint', '--exit', '--image-path', '/dev/null/image', 'a']);
    await countsOn(side, count(side).value);
    return { code: failed.status, why: /not a directory/.test(failed.stderr), status: await status(side) };
  },
  (seen) => assert.deepEqual(seen, { code: 1, why: true, status: 'RUNNING' }),
);

/** The task's status as `ctr tasks ls` shows it. */
const status = async (side: Side): Promise<string | undefined> =>
  (await side.ctr.ok('tasks', 'ls')).match(/^a +\d+ +(\S+)/m)?.[1];
