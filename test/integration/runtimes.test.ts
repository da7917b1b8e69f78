import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { startContainerd } from '../harness/containerd.ts';
import { type Daemon, startHoldfast } from '../harness/daemon.ts';
import { must } from '../harness/exec.ts';
import { makeRootfs } from '../harness/rootfs.ts';
import { goShim, OUR_RUNTIME, pathWithOurShim } from '../harness/shims.ts';
import { type Bed, testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';

// Our shim under an unmodified containerd, and containerd's shim under our daemon: the same promises.

const bed = testBed();

interface Pair {
  readonly name: string;
  readonly runtime: () => string;
  readonly start: (bed: Bed) => Promise<Daemon>;
}

const pairs: readonly Pair[] = [
  {
    name: 'an unmodified containerd with our shim',
    runtime: () => OUR_RUNTIME,
    start: () => startContainerd(bed, { env: { PATH: pathWithOurShim(bed) } }),
  },
  { name: 'our daemon with containerd’s shim', runtime: goShim, start: () => startHoldfast(bed) },
];

for (const pair of pairs) {
  describe(pair.name, () => {
    let daemon: Daemon;
    let rootfs: string;
    before(async () => {
      daemon = await pair.start(bed);
      rootfs = makeRootfs(bed.path(daemon.name, 'rootfs'));
    });

    const words = (flags: readonly string[], id: string, script: string): string[] => {
      const runtime = ['--runtime', pair.runtime()];
      return ['run', ...runtime, ...flags, '--rootfs', rootfs, id, '/bin/sh', '-c', script];
    };
    const start = (id: string, script: string, flags: readonly string[] = []): Promise<string> =>
      daemon.ctr.ok(...words(['-d', '--null-io', ...flags], id, script));
    const exec = (id: string, script: string) =>
      daemon.ctr.run(['tasks', 'exec', '--exec-id', 'e', id, '/bin/sh', '-c', script]);
    const pidOf = async (id: string): Promise<number> => {
      const rows = (await daemon.ctr.ok('tasks', 'ls')).split('\n').map((row) => row.split(/\s+/));
      return Number(rows.find(([name]) => name === id)?.[1]);
    };
    const stopped = (): Promise<boolean> =>
      eventually(async () => /^a +\d+ +STOPPED/m.test(await daemon.ctr.ok('tasks', 'ls')));

    test('run --rm gives output and exit code, and leaves nothing', async () => {
      const { status, stdout, stderr } = await daemon.ctr.run(words(['--rm'], 'a', 'echo out; echo err >&2; exit 7'));
      assert.deepEqual([status, stdout, stderr], [7, 'out\n', 'err\n']);
      assert.equal(await daemon.ctr.ok('containers', 'ls', '-q'), '');
    });

    test('run -t has a terminal', async () => {
      const terminal = daemon.ctr.terminal(words(['--rm', '-t'], 'a', 'tty; read x; echo "[$x]"; exit 3'));
      await terminal.shows('/dev/pts/0');
      terminal.write('typed\r');
      assert.equal(await terminal.end(), 3);
      assert.match(terminal.screen, /\[typed\]/);
    });

    test('exec, ps, metrics, pause, resume and kill', async () => {
      await start('a', 'exec sleep 1000', ['--memory-limit', '67108864']);
      assert.equal((await exec('a', 'exit 6')).status, 6);
      assert.match(await daemon.ctr.ok('tasks', 'ps', 'a'), new RegExp(`^${await pidOf('a')} `, 'm'));
      assert.match(await daemon.ctr.ok('tasks', 'metrics', 'a'), /memory\.limit_in_bytes +67108864/);
      await daemon.ctr.ok('tasks', 'pause', 'a');
      assert.match(await daemon.ctr.ok('tasks', 'ls'), /PAUSED/);
      await daemon.ctr.ok('tasks', 'resume', 'a');
      await daemon.ctr.ok('tasks', 'kill', '--signal', 'KILL', 'a');
      await stopped();
      assert.match((await daemon.ctr.run(['tasks', 'rm', 'a'])).stderr, /non-zero exit code 137/);
      await daemon.ctr.ok('containers', 'rm', 'a');
    });

    test('a restart of the daemon finds a running container again', async () => {
      await start('a', 'exec sleep 1000');
      const pid = await pidOf('a');
      await daemon.restart();
      assert.equal(await pidOf('a'), pid);
      assert.equal((await exec('a', 'exit 5')).status, 5);
      await daemon.ctr.removeAll();
    });

    test('an exit while the daemon is down has its status afterwards', async () => {
      await start('a', 'while [ ! -e /tmp/go ]; do sleep 0.02; done; exit 9');
      const pid = await pidOf('a');
      await daemon.kill9();
      writeFileSync(`${rootfs}/tmp/go`, '');
      await eventually(() => !existsSync(`/proc/${pid}`));
      await daemon.start();
      if (await forgetsEnded(daemon)) {
        assert.equal(await daemon.ctr.ok('tasks', 'ls', '-q'), '');
      } else {
        await stopped();
        assert.match((await daemon.ctr.run(['tasks', 'rm', 'a'])).stderr, /non-zero exit code 9/);
      }
      await daemon.ctr.ok('containers', 'rm', 'a');
    });

    test('containers of one group share one shim, which ends with the last', async () => {
      const flags = ['--annotation', 'io.containerd.runc.v2.group=pod'];
      await start('a', 'exec sleep 1000', flags);
      await start('b', 'exec sleep 1000', flags);
      const [a, b] = [parentOf(await pidOf('a')), parentOf(await pidOf('b'))];
      assert.equal(a, b);
      await daemon.ctr.ok('tasks', 'rm', '-f', 'a');
      assert.equal((await exec('b', 'exit 4')).status, 4);
      await daemon.ctr.removeAll();
      await eventually(() => !existsSync(`/proc/${a}`), { what: 'the end of the shim' });
    });

    test('ten at once come and go, and every exit code is right', async () => {
      const codes = Array.from({ length: 10 }, (_, index) => index + 1);
      const results = await Promise.all(
        codes.map((code) => daemon.ctr.run(words(['--rm'], `c${code}`, `exit ${code}`))),
      );
      assert.deepEqual(
        results.map(({ status }) => status),
        codes,
      );
    });
  });
}

/** containerd 2 deletes, at its start, a task that has no process any more, whatever its shim is. */
const forgetsEnded = async (daemon: Daemon): Promise<boolean> =>
  daemon.kind === 'containerd' && /containerd\/v2 /.test(await must('containerd', ['--version']));

const parentOf = (pid: number): number =>
  Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
