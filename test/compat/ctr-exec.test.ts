import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { Result } from '../harness/exec.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { compareSides, type Side } from './sides.ts';

// `ctr tasks exec` on containerd and on ours.

const bed = testBed();
const compare = compareSides(bed);

const ID = 'a';
const exec = (side: Side, flags: readonly string[], ...command: readonly string[]): Promise<Result> =>
  side.ctr.run(['tasks', 'exec', '--exec-id', 'e', ...flags, ID, ...command]);
const sh = (side: Side, script: string, flags: readonly string[] = []): Promise<Result> =>
  exec(side, flags, '/bin/sh', '-c', script);

compare(
  'exec gives the output and the exit code of the process',
  async (side) => {
    await side.start(ID);
    return sh(side, 'echo out; echo err >&2; exit 9');
  },
  ({ status, stdout, stderr }) => assert.deepEqual([status, stdout, stderr], [9, 'out\n', 'err\n']),
);

compare(
  'an exec id may be used again once its process is gone',
  async (side) => {
    await side.start(ID);
    const statuses: number[] = [];
    for (let code = 0; code < 5; code += 1) statuses.push((await sh(side, `exit ${code}`)).status);
    return statuses;
  },
  (statuses) => assert.deepEqual(statuses, [0, 1, 2, 3, 4]),
);

compare(
  'exec --user and --cwd',
  async (side) => {
    await side.start(ID);
    return [
      await sh(side, 'id; pwd', ['--user', '1000', '--cwd', '/tmp']),
      await sh(side, 'id', ['--user', 'user']),
      await sh(side, 'id', ['--user', 'nobody-there']),
    ];
  },
  ([number, name, unknown]) => {
    assert.equal(number?.stdout, 'uid=1000(user) gid=1000(user) groups=1000(user)\n/tmp\n');
    assert.equal(name?.status, 0);
    assert.equal(unknown?.status, 1);
  },
);

compare(
  'exec reads stdin to its end',
  async (side) => {
    await side.start(ID);
    const session = side.ctr.attach(['tasks', 'exec', '--exec-id', 'e', ID, '/bin/cat']);
    session.write('one\n');
    await session.says('one\n');
    session.write('two\n');
    session.closeStdin();
    return session.end();
  },
  ({ status, stdout }) => assert.deepEqual([status, stdout], [0, 'one\ntwo\n']),
);

compare(
  'exec --detach returns at once and the process goes on',
  async (side) => {
    await side.start(ID);
    const detached = await sh(side, 'echo done > /tmp/done; exec sleep 1000', ['--detach']);
    await eventually(() => readFileSync(`${side.rootfs}/tmp/done`, 'utf8').includes('done'));
    const rows = (await side.ctr.ok('tasks', 'ps', ID)).trim().split('\n').length - 1;
    return { detached, rows };
  },
  ({ detached, rows }) => assert.deepEqual([detached.status, rows], [0, 2]),
);

compare(
  'an exec is killed by its id, and nothing else is',
  async (side) => {
    await side.start(ID);
    const session = side.ctr.attach([
      'tasks',
      'exec',
      '--exec-id',
      'e',
      ID,
      '/bin/sh',
      '-c',
      'echo up; exec sleep 1000',
    ]);
    await session.says('up');
    const kill = await side.ctr.run(['tasks', 'kill', '--exec-id', 'e', '--signal', 'KILL', ID]);
    const { status } = await session.end();
    await side.pid(ID);
    return { kill, status, tasks: await side.ctr.ok('tasks', 'ls') };
  },
  ({ status, tasks }) => {
    assert.equal(status, 137);
    assert.match(tasks, /RUNNING/);
  },
);

compare(
  'an exec whose program is missing, may not be run, or has no such directory fails as runc says',
  async (side) => {
    await side.start(ID);
    const results = [
      await exec(side, [], '/bin/nothing-here'),
      await exec(side, [], 'nothing-on-the-path'),
      await exec(side, [], '/etc/passwd'),
      await exec(side, ['--cwd', '/etc/passwd'], '/bin/pwd'),
      await sh(side, 'exit 6'),
    ];
    // runc writes its reason to its standard error as well, and with us that is the client's FIFO (ARCHITECTURE.md).
    return results.map((result) => ({ ...result, stderr: result.stderr.replace(/^exec failed: .*\n/, '') }));
  },
  (results) => {
    assert.deepEqual(
      results.map(({ status }) => status),
      [1, 1, 1, 1, 6],
    );
    assert.match(results[0]?.stderr ?? '', /no such file or directory/);
  },
);

compare(
  'two processes with one exec id: the second is refused',
  async (side) => {
    await side.start(ID);
    const session = side.ctr.attach([
      'tasks',
      'exec',
      '--exec-id',
      'e',
      ID,
      '/bin/sh',
      '-c',
      'echo up; read x; exit 3',
    ]);
    await session.says('up');
    const second = await sh(side, 'echo never');
    session.write('go\n');
    return { second, first: await session.end() };
  },
  ({ second, first }) => {
    assert.equal(second.status, 1);
    assert.match(second.stderr, /already exists/);
    assert.equal(first.status, 3);
  },
);

compare(
  'an exec in a container that is no more, was never started, or is paused is refused',
  async (side) => {
    const results: Result[] = [await sh(side, 'exit 0')];
    await side.ctr.ok('containers', 'create', '--rootfs', side.rootfs, ID, '/bin/sleep', '1000');
    results.push(await sh(side, 'exit 0'));
    await side.ctr.ok('containers', 'rm', ID);
    await side.start(ID);
    await side.ctr.ok('tasks', 'pause', ID);
    results.push(await sh(side, 'exit 0'));
    await side.ctr.ok('tasks', 'resume', ID);
    await side.ctr.ok('tasks', 'kill', '--signal', 'KILL', ID);
    await eventually(async () => (await side.ctr.ok('tasks', 'ls')).includes('STOPPED'));
    results.push(await sh(side, 'exit 0'));
    return results;
  },
  (results) =>
    assert.ok(
      results.every(({ status, stderr }) => status === 1 && stderr !== ''),
      JSON.stringify(results),
    ),
);

compare(
  'an exec that was running when the init ended is reported as killed',
  async (side) => {
    await side.start(ID);
    const session = side.ctr.attach([
      'tasks',
      'exec',
      '--exec-id',
      'e',
      ID,
      '/bin/sh',
      '-c',
      'echo up; exec sleep 1000',
    ]);
    await session.says('up');
    await side.ctr.ok('tasks', 'kill', '--signal', 'KILL', ID);
    const { status } = await session.end();
    return status;
  },
  (status) => assert.equal(status, 137),
);
