import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { compareSides, type Side } from './sides.ts';

// `ctr tasks …` on containerd and on ours.

const bed = testBed();
const compare = compareSides(bed);
const ID = 'a';
const sh = (script: string): string[] => ['/bin/sh', '-c', script];

/** The task's status as `ctr tasks ls` shows it. */
const status = async (side: Side): Promise<string | undefined> =>
  (await side.ctr.ok('tasks', 'ls')).match(/^a +\d+ +(\S+)/m)?.[1];
const stopped = (side: Side): Promise<boolean> => eventually(async () => (await status(side)) === 'STOPPED');

compare(
  'ls and ls -q',
  async (side) => {
    await side.start(ID);
    await side.pid(ID);
    return [await side.ctr.ok('tasks', 'ls'), await side.ctr.ok('tasks', 'ls', '-q')];
  },
  ([all, quiet]) => {
    assert.match(all ?? '', /^TASK +PID +STATUS +\na +\d+ +RUNNING\n$/);
    assert.equal(quiet, 'a\n');
  },
);

compare(
  'ps lists every process of the container',
  async (side) => {
    await side.start(ID, { command: sh('sleep 1000 & sleep 1000 & echo > /tmp/up; wait') });
    await eventually(() => readFileSync(`${side.rootfs}/tmp/up`, 'utf8') !== '');
    const pid = await side.pid(ID);
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    const ps = await side.ctr.ok('tasks', 'ps', ID);
    rmSync(`${side.rootfs}/tmp/up`);
    const pids = ps
      .split('\n')
      .slice(1, -1)
      .map((row) => row.split(/\s+/)[0] ?? '');
    return {
      complete: pids.toSorted().join() === [String(pid), ...children].toSorted().join(),
      shape: ps.replaceAll(/\d+/g, '9'),
    };
  },
  ({ complete }) => assert.equal(complete, true),
);

compare(
  'metrics shows the same values by the same names',
  async (side) => {
    await side.start(ID, { flags: ['--memory-limit', '67108864'] });
    const table = await side.ctr.ok('tasks', 'metrics', ID);
    const json = JSON.parse(await side.ctr.ok('tasks', 'metrics', '--format', 'json', ID)) as Metrics;
    return {
      names: table.split('\n').map((row) => row.split(/\s+/)[0]),
      limit: json.memory.usage.limit,
      pids: json.pids.current,
      perCpu: json.cpu.usage.per_cpu.length,
      parts: Object.keys(json).toSorted(),
      memory: Object.keys(json.memory)
        .filter((key) => ALWAYS.test(key))
        .toSorted(),
      hierarchical: json.memory.hierarchical_memory_limit,
    };
  },
  (seen) => assert.deepEqual([seen.limit, seen.pids], [67_108_864, 1]),
);

compare(
  'metrics of a task that has ended and was not deleted are there',
  async (side) => {
    await side.start(ID, { command: ['/bin/true'] });
    await eventually(async () => (await status(side)) === 'STOPPED');
    const { status: code, stdout } = await side.ctr.run(['tasks', 'metrics', ID]);
    return { code, names: stdout.split('\n').map((line) => line.split(/\s+/)[0]) };
  },
  ({ code, names }) => assert.ok(code === 0 && names.includes('memory.usage_in_bytes')),
);

compare(
  'pause freezes every process and resume lets them go on',
  async (side) => {
    await side.start(ID);
    const seen: unknown[] = [await side.ctr.run(['tasks', 'pause', ID]), await status(side)];
    const freezer = `/sys/fs/cgroup/freezer/${side.daemon.namespace}/${ID}/freezer.state`;
    seen.push(readFileSync(freezer, 'utf8'), await side.ctr.run(['tasks', 'pause', ID]));
    seen.push(await side.ctr.run(['tasks', 'resume', ID]), await status(side), readFileSync(freezer, 'utf8'));
    seen.push(await side.ctr.run(['tasks', 'resume', ID]));
    return seen;
  },
  (seen) => {
    assert.deepEqual([seen[1], seen[2], seen[5]], ['PAUSED', 'FROZEN\n', 'RUNNING']);
  },
);

compare(
  'kill: SIGTERM by default, any other by name or number, and a wrong name is an error',
  async (side) => {
    await side.start(ID, { command: sh('trap "exit 40" TERM; trap "exit 41" USR1; while :; do sleep 0.05; done') });
    const seen: unknown[] = [await side.ctr.run(['tasks', 'kill', '--signal', 'SIGNOTHING', ID]), await status(side)];
    // The shell needs a moment until its trap is set; before that, as the first process, it ignores the signal.
    await eventually(async () => {
      await side.ctr.run(['tasks', 'kill', '--signal', '10', ID]);
      return (await status(side)) === 'STOPPED';
    });
    seen.push(await side.ctr.run(['tasks', 'rm', ID]), await side.ctr.run(['tasks', 'kill', ID]));
    return seen;
  },
  (seen) => assert.match(JSON.stringify(seen), /non-zero exit code 41/),
);

compare(
  'kill of a task that has ended says that it is not found',
  async (side) => {
    await side.start(ID, { command: ['/bin/true'] });
    await stopped(side);
    return side.ctr.run(['tasks', 'kill', '--signal', 'KILL', ID]);
  },
  ({ status: code, stderr }) => {
    assert.equal(code, 1);
    assert.match(stderr, /not found/);
  },
);

compare(
  'kill --all reaches processes beside the first',
  async (side) => {
    await side.start(ID, { command: sh('trap "" TERM; sleep 1000 & echo > /tmp/all; wait; exit 12') });
    await eventually(() => readdirSync(`${side.rootfs}/tmp`).includes('all'));
    await side.ctr.ok('tasks', 'exec', '--exec-id', 'e', '--detach', ID, '/bin/sleep', '1000');
    const kill = await side.ctr.run(['tasks', 'kill', '--all', '--signal', 'KILL', ID]);
    await stopped(side);
    return { kill, rm: await side.ctr.run(['tasks', 'rm', ID]) };
  },
  ({ kill }) => assert.equal(kill.status, 0),
);

compare(
  'rm: refused while it runs, told the exit code when it has ended, not found when it is gone',
  async (side) => {
    await side.start(ID, { command: sh('trap "exit 13" TERM; while :; do sleep 0.05; done') });
    const seen = [await side.ctr.run(['tasks', 'rm', ID])];
    await eventually(async () => {
      await side.ctr.run(['tasks', 'kill', ID]);
      return (await status(side)) === 'STOPPED';
    });
    seen.push(await side.ctr.run(['tasks', 'rm', ID]), await side.ctr.run(['tasks', 'rm', ID]));
    return seen;
  },
  ([running, ended, gone]) => {
    assert.match(running?.stderr ?? '', /must be stopped before deletion/);
    assert.match(ended?.stderr ?? '', /non-zero exit code 13/);
    assert.match(gone?.stderr ?? '', /not found/);
  },
);

compare(
  'rm --force ends it first',
  async (side) => {
    await side.start(ID);
    return { rm: await side.ctr.run(['tasks', 'rm', '--force', ID]), tasks: await side.ctr.ok('tasks', 'ls', '-q') };
  },
  ({ rm, tasks }) => assert.deepEqual([rm.status, tasks], [0, '']),
);

compare(
  'start: a container is started, a second start of it is refused, and after rm it starts anew',
  async (side) => {
    await side.ctr.ok('containers', 'create', '--rootfs', side.rootfs, ID, '/bin/sleep', '1000');
    const start = (): ReturnType<typeof side.ctr.run> => side.ctr.run(['tasks', 'start', '-d', '--null-io', ID]);
    const seen = [await start(), await start(), await side.ctr.run(['tasks', 'rm', '-f', ID]), await start()];
    return seen;
  },
  (seen) =>
    assert.deepEqual(
      seen.map((result) => result.status),
      [0, 1, 0, 0],
    ),
);

compare(
  'attach follows a running container from now on, and ends with it',
  async (side) => {
    const ticking = '(while :; do echo tick; sleep 0.05; done) & read x; kill $!; wait; echo "got $x"; exit 8';
    const first = side.ctr.attach(side.words([], ID, sh(`echo first; ${ticking}`)));
    await first.says('first');
    first.signal('SIGKILL');
    await first.end();
    const session = side.ctr.attach(['tasks', 'attach', ID]);
    // ctr opens the FIFOs in the background, and gives up on those that are not open yet when the task ends.
    await session.says('tick');
    session.write('hello\n');
    await session.says('got hello'); // before its input ends: ctr sometimes drops output when that comes too soon
    const { status: code, stdout } = await session.end();
    return { code, stdout: stdout.replaceAll('tick\n', '') };
  },
  (seen) => assert.deepEqual(seen, { code: 8, stdout: 'got hello\n' }),
);

compare(
  'checkpoint without criu says what is missing, and the container goes on',
  async (side) => {
    await side.start(ID);
    const { status: code, stderr } = await side.ctr.run(['tasks', 'checkpoint', ID]);
    return { code, missing: /criu/i.test(stderr), status: await status(side) };
  },
  // Set-up installs no criu; where a machine has one that works, the two still have to agree.
  ({ code, missing, status: after }) => assert.ok(code === 0 || (missing && after === 'RUNNING')),
);

compare(
  'every command on a container that does not exist says so',
  async (side) =>
    Promise.all(
      ['start', 'ps', 'metrics', 'pause', 'resume', 'kill', 'rm', 'attach', 'checkpoint'].map((verb) =>
        side.ctr.run(['tasks', verb, 'nothing']),
      ),
    ),
  (results) => assert.ok(results.every((result) => result.status === 1 && result.stderr.includes('not found'))),
);

compare(
  'every command on a container without a task says so',
  async (side) => {
    await side.ctr.ok('containers', 'create', '--rootfs', side.rootfs, ID, '/bin/true');
    const verbs = ['ps', 'metrics', 'pause', 'resume', 'kill', 'rm', 'attach'];
    return Promise.all(verbs.map((verb) => side.ctr.run(['tasks', verb, ID])));
  },
  (results) => assert.ok(results.every((result) => result.status === 1 && result.stderr.includes('not found'))),
);

/** Values that do not depend on what the container has touched so far. */
const ALWAYS = /^(usage|swap|kernel|kernel_tcp|hierarchical_.*|rss|cache)$/;

interface Metrics {
  readonly pids: { readonly current: number };
  readonly cpu: { readonly usage: { readonly per_cpu: readonly number[] } };
  readonly memory: {
    readonly usage: { readonly limit: number };
    readonly hierarchical_memory_limit: number;
  };
}
