import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { compareSides } from './sides.ts';

// `ctr run` on containerd and on ours: the same exit code, the same output, the same effect.

const bed = testBed();
const compare = compareSides(bed);
const sh = (script: string): string[] => ['/bin/sh', '-c', script];

compare(
  'run --rm gives the output and the exit code of the container, and leaves nothing',
  async (side) => ({
    run: await side.run(['--rm'], 'a', sh('echo out; echo err >&2; exit 7')),
    containers: await side.ctr.ok('containers', 'ls', '-q'),
    tasks: await side.ctr.ok('tasks', 'ls', '-q'),
  }),
  ({ run, containers, tasks }) => {
    assert.deepEqual([run.status, run.stdout, run.stderr, containers, tasks], [7, 'out\n', 'err\n', '', '']);
  },
);

compare(
  'run without --rm leaves the container, and no task',
  async (side) => ({
    run: await side.run([], 'a', sh('exit 3')),
    containers: await side.ctr.ok('containers', 'ls'),
    tasks: await side.ctr.ok('tasks', 'ls'),
  }),
  ({ run, containers }) => {
    assert.equal(run.status, 3);
    assert.match(containers, /^a /m);
  },
);

compare(
  'run -d returns when the container runs',
  async (side) => {
    const { status, stdout, stderr } = await side.run(['-d'], 'a', ['/bin/sleep', '1000']);
    await side.pid('a');
    return { status, stdout, stderr, tasks: await side.ctr.ok('tasks', 'ls') };
  },
  ({ status, tasks }) => {
    assert.equal(status, 0);
    assert.match(tasks, /^a .*RUNNING/m);
  },
);

compare(
  'a container that a signal ends gives 128 + its number',
  async (side) => {
    const session = side.ctr.attach(side.words(['--rm'], 'a', sh('echo up; exec sleep 1000')));
    await session.says('up');
    const kill = await side.ctr.run(['tasks', 'kill', '--signal', 'SIGKILL', 'a']);
    return { run: await session.end(), kill };
  },
  ({ run, kill }) => assert.deepEqual([run.status, kill.status], [137, 0]),
);

compare(
  'ctr run passes the signals that it gets on to the container',
  async (side) => {
    const script = 'trap "echo heard" WINCH; trap "echo ended; exit 5" TERM; while :; do sleep 0.05; done';
    const session = side.ctr.attach(side.words(['--rm'], 'a', sh(script)));
    // ctr passes signals on from some time after the start; until then it ignores this one.
    await eventually(() => {
      session.signal('SIGWINCH');
      return session.stdout.includes('heard');
    });
    session.signal('SIGTERM');
    const { status, stdout } = await session.end();
    return { status, last: stdout.trim().split('\n').at(-1) };
  },
  (seen) => assert.deepEqual(seen, { status: 5, last: 'ended' }),
);

compare(
  'stdin reaches the container, and its end does too',
  async (side) => {
    const session = side.ctr.attach(side.words(['--rm'], 'a', ['/bin/cat']));
    session.write('one\n');
    // Before the task runs ctr does not pass on that its stdin has ended.
    await session.says('one\n');
    session.write('two\n');
    session.closeStdin();
    return session.end();
  },
  ({ status, stdout }) => assert.deepEqual([status, stdout], [0, 'one\ntwo\n']),
);

compare(
  '--null-io shows nothing',
  (side) => side.run(['--rm', '--null-io'], 'a', sh('echo out; exit 4')),
  ({ status, stdout }) => assert.deepEqual([status, stdout], [4, '']),
);

compare(
  '--env and --env-file',
  (side) => {
    const file = side.path('env');
    writeFileSync(file, 'THREE=3\n');
    return side.run(['--rm', '--env', 'ONE=1', '--env', 'TWO=a b=c', '--env-file', file], 'a', ['/bin/env']);
  },
  ({ stdout }) => assert.equal(stdout, 'THREE=3\nONE=1\nTWO=a b=c\nHOME=/root\n'),
);

compare(
  '--cwd',
  (side) => side.run(['--rm', '--cwd', '/home/user'], 'a', ['/bin/pwd']),
  ({ stdout }) => assert.equal(stdout, '/home/user\n'),
);

compare(
  '--mount binds a directory of the host, read-only where asked',
  async (side) => {
    const folder = side.path('shared');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'in'), 'from the host\n');
    const mount = (mode: string): string => `type=bind,src=${folder},dst=/mnt,options=rbind:${mode}`;
    const script = sh('cat /mnt/in; echo back > /mnt/out');
    const writable = await side.run(['--rm', '--mount', mount('rw')], 'a', script);
    const readOnly = await side.run(['--rm', '--mount', mount('ro')], 'b', sh('echo x > /mnt/never'));
    return {
      writable,
      out: readFileSync(join(folder, 'out'), 'utf8'),
      readOnly,
      never: existsSync(join(folder, 'never')),
    };
  },
  ({ writable, out, readOnly, never }) => {
    assert.deepEqual([writable.stdout, out, readOnly.status, never], ['from the host\n', 'back\n', 1, false]);
  },
);

compare(
  '--mount of a tmpfs',
  (side) =>
    side.run(['--rm', '--mount', 'type=tmpfs,src=tmpfs,dst=/mnt,options=size=1m'], 'a', sh('df -m /mnt | tail -1')),
  ({ stdout }) => assert.match(stdout, /tmpfs +1 /),
);

compare(
  '--read-only',
  (side) => side.run(['--rm', '--read-only'], 'a', sh('touch /x; echo $?')),
  ({ stdout, stderr }) => {
    assert.equal(stdout, '1\n');
    assert.match(stderr, /Read-only file system/);
  },
);

const PRIVILEGES = 'grep -E "Cap|NoNewPrivs" /proc/self/status; test -w /proc/sys/kernel && echo writable';

compare(
  'an unprivileged container has the default capabilities and none that is inheritable',
  (side) => side.run(['--rm'], 'a', sh(PRIVILEGES)),
  ({ stdout }) => assert.match(stdout, /CapInh:\s0{16}\nCapPrm:\s00000000a80425fb/),
);

compare(
  '--privileged has every capability and a writable /proc/sys',
  (side) => side.run(['--rm', '--privileged'], 'a', sh(PRIVILEGES)),
  ({ stdout }) => assert.match(stdout, /CapEff:\s[0-9a-f]+ff\n[^]*writable/),
);

compare(
  '--cap-add, --cap-drop and --allow-new-privs',
  (side) =>
    side.run(
      ['--rm', '--cap-add', 'CAP_SYS_ADMIN', '--cap-drop', 'CAP_CHOWN', '--allow-new-privs'],
      'a',
      sh(PRIVILEGES),
    ),
  ({ stdout }) => assert.match(stdout, /CapEff:\s00000000a82425fa[^]*NoNewPrivs:\s0/),
);

compare(
  'a flag that this ctr does not know is its own error',
  (side) => side.run(['--rm', '--no-such-flag'], 'a', ['/bin/id']),
  ({ status, stderr }) => {
    assert.equal(status, 1);
    assert.match(stderr, /flag provided but not defined/);
  },
);
