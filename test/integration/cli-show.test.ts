import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { exec } from '../harness/exec.ts';
import { eventually } from '../harness/wait.ts';
import { Cli } from './cli-harness.ts';

const cli = await Cli.start();

const json = async (...args: readonly string[]) => JSON.parse(await cli.ok(...args, '--json'));

const start = (id: string, ...command: readonly string[]): Promise<string> =>
  cli.ok(...cli.inRootfs('-d', '--name', id, ...command));

test('top shows the processes of a container with ps’s columns, and whose exec they are', async () => {
  await start('busy', 'sleep', '100');
  const session = cli.session(['exec', '-u', 'user', 'busy', 'sh', '-c', 'echo up; sleep 200; true']);
  await session.says('up');
  const lines = (await cli.ok('top', 'busy')).trimEnd().split('\n');
  assert.match(lines[0] ?? '', /^UID +PID +PPID +C +STIME +TTY +TIME +CMD$/);
  assert.match(lines[1] ?? '', /^root +\d+ +\d+ +\d+ +\d\d:\d\d +\? +00:00:00 +sleep 100$/);
  const processes = await json('top', 'busy');
  assert.deepEqual(
    processes.map(({ user, command }: { user: string; command: string[] }) => [user, command.join(' ')]),
    [
      ['root', 'sleep 100'],
      ['user', 'sh -c echo up; sleep 200; true'],
      ['user', 'sleep 200'],
    ],
  );
  const [init, shell, sleep] = processes;
  assert.equal(init.execId, undefined);
  assert.match(shell.execId, /^exec-/);
  assert.deepEqual([shell.uid, sleep.ppid, sleep.tty], [1000, shell.pid, undefined]);
  assert.equal(readFileSync(`/proc/${sleep.pid}/cmdline`, 'utf8'), 'sleep\x00200\0');
  await cli.ok('rm', '-f', 'busy');
  await session.end();
});

test('top knows the terminal of a process', async () => {
  await cli.ok(...cli.inRootfs('-dt', '--name', 'screen', 'sleep', '100'));
  assert.match(await cli.ok('top', 'screen'), / pts\/0 +00:00:00 +sleep 100\n/);
  await cli.ok('rm', '-f', 'screen');
});

test('stats measures CPU, memory against its limit, processes and block i/o', async () => {
  const script = 'dd if=/dev/zero of=/dev/null bs=1M';
  await cli.ok(...cli.inRootfs('-d', '--name', 'hot', '--memory', '64m', '--pids-limit', '50', 'sh', '-c', script));
  await start('cold', 'sleep', '100');
  const [cold, hot] = await json('stats', '--no-stream');
  assert.deepEqual([cold.id, hot.id], ['cold', 'hot']);
  assert.ok(hot.cpuPercent > 5 && hot.cpuPercent < 150, `${hot.cpuPercent} % of CPU`);
  assert.ok(cold.cpuPercent < 1, `${cold.cpuPercent} % of CPU`);
  assert.equal(hot.memoryLimitBytes, 64 << 20);
  assert.ok(hot.memoryBytes > 0 && hot.memoryBytes < 64 << 20);
  assert.deepEqual([hot.pidsLimit, cold.pids, cold.pidsLimit], [50, 1, undefined]);
  assert.equal(typeof hot.readBytes, 'number');
  const table = await cli.ok('stats', '--no-stream', 'hot');
  assert.match(
    table,
    /^ID +CPU % +MEM USAGE \/ LIMIT +MEM % +BLOCK I\/O +PIDS\nhot +[\d.]+% +[\d.]+ \wi?B \/ 64\.0 MiB +/,
  );
  await cli.ok('rm', '-f', 'hot', 'cold');
});

test('stats goes on until it is interrupted, one array a line; a container that ends is one that uses nothing', async () => {
  await start('one', 'sleep', '100');
  const session = cli.session(['stats', '--json', 'one']);
  await session.says(/"pids":1.*\n.*"pids":1/);
  await cli.ok('kill', 'one');
  await session.says(/\[\{"id":"one"\}\]\n/);
  session.signal('SIGTERM');
  const { stdout } = await session.end();
  for (const line of stdout.trim().split('\n')) assert.equal(JSON.parse(line)[0].id, 'one');
  await cli.ok('rm', 'one');
});

test('in a terminal stats draws over what it drew before', async () => {
  await start('one', 'sleep', '100');
  const terminal = cli.terminal(['stats']);
  await eventually(() => terminal.screen.split('\x1b[H\x1b[JID ').length > 2);
  assert.match(terminal.screen, /\none /);
  terminal.write('\x03');
  assert.equal(await terminal.end(), 130);
  await cli.ok('rm', '-f', 'one');
});

test('shim ls finds the process that serves each container, and the spare', async () => {
  await start('a', 'sleep', '100');
  await start('b', 'sleep', '100');
  const list = await eventually(async () => {
    const shims: { spare: boolean; containers: string[]; pid: number; memoryBytes: number; elapsedMs: number }[] =
      await json('shim', 'ls');
    return shims.some(({ spare }) => spare) && shims;
  });
  const serving = list.filter(({ spare }) => !spare);
  assert.deepEqual(new Set(serving.map(({ containers }) => containers.join())), new Set(['a', 'b']));
  for (const { containers, pid, memoryBytes, elapsedMs } of serving) {
    const [init] = await json('top', containers[0] ?? '');
    assert.equal(init.ppid, pid);
    assert.ok(memoryBytes > 1 << 20 && elapsedMs < 600_000);
  }
  assert.match(await cli.ok('shim', 'ls'), /^PID +NAMESPACE +CONTAINERS +MEMORY +PRIVATE +CPU +AGE\n(\d+ .*\n){3}$/);
  assert.match(await cli.ok('info'), /^Shims: +3 \(1 spare\), [\d.]+ MiB, [\d.]+ MiB of it private$/m);
  await cli.ok('rm', '-f', 'a', 'b');
});

test('shim ls shows the containers of a pod with the one shim that they have', async () => {
  const group = ['--annotation', 'io.containerd.runc.v2.group=pod'];
  for (const id of ['p1', 'p2']) await cli.ok(...cli.inRootfs('-d', '--name', id, ...group, 'sleep', '100'));
  const serving = (await json('shim', 'ls')).filter(({ spare }: { spare: boolean }) => !spare);
  assert.deepEqual(
    serving.map(({ containers }: { containers: string[] }) => new Set(containers)),
    [new Set(['p1', 'p2'])],
  );
  assert.ok(existsSync(`/proc/${serving[0].pid}`));
  await cli.ok('rm', '-f', 'p1', 'p2');
});

test('shim ls finds a shim that has taken up the container of a killed one', async () => {
  await start('orphan', 'sleep', '100');
  const shimOf = async (): Promise<number | undefined> =>
    (await json('shim', 'ls')).find(({ containers }: { containers: string[] }) => containers.includes('orphan'))?.pid;
  const first = await shimOf();
  assert.ok(first !== undefined);
  process.kill(first, 'SIGKILL');
  const second = await eventually(async () => {
    const pid = await shimOf();
    return pid !== undefined && pid !== first && pid;
  });
  assert.ok(existsSync(`/proc/${second}`));
  assert.equal(await cli.ok('exec', 'orphan', 'echo', 'well'), 'well\n');
  await cli.ok('rm', '-f', 'orphan');
});

test('shim ls finds a shim that is not ours', async () => {
  const binary = '/usr/bin/containerd-shim-runc-v2';
  const run = ['run', '-d', '--null-io', '--runtime', binary, '--rootfs', cli.rootfs, 'theirs', '/bin/sleep', '100'];
  await cli.daemon.ctr.ok(...run);
  const [shim] = (await json('shim', 'ls')).filter(({ spare }: { spare: boolean }) => !spare);
  assert.deepEqual([shim.containers, shim.runtime], [['theirs'], binary]);
  assert.ok(readFileSync(`/proc/${shim.pid}/cmdline`, 'utf8').startsWith(binary));
  await cli.ok('rm', '-f', 'theirs');
});

test('inspect shows what the daemon knows, with the specification', async () => {
  await start('web', 'sleep', '100');
  await cli.run(cli.inRootfs('--name', 'over', '--label', 'tier=back', 'sh', '-c', 'exit 7'));
  const [web, over] = JSON.parse(await cli.ok('inspect', 'web', 'over'));
  assert.deepEqual([web.id, web.namespace, web.runtime], ['web', cli.daemon.namespace, 'io.containerd.runc.v2']);
  assert.deepEqual([web.task.state, web.spec.process.args], ['running', ['sleep', '100']]);
  assert.ok(existsSync(web.log) && existsSync(`/proc/${web.task.pid}`));
  assert.ok(Date.parse(web.task.startedAt) >= Date.parse(web.createdAt) - 1_000);
  assert.deepEqual([over.labels.tier, over.task.state, over.task.exitStatus], ['back', 'stopped', 7]);
  await cli.ok('rm', '-f', 'web', 'over');
});

test('ids are JSON too', async () => {
  const { id } = JSON.parse(await cli.ok(...cli.inRootfs('-d', '--json', 'sleep', '100')));
  assert.match(id, /^[0-9a-f]{12}$/);
  assert.deepEqual(await json('ps', '-q'), [id]);
  await cli.ok('rm', '-f', id);
});

test('-a and -n mean the same behind the verb as before it', async () => {
  await start('web', 'sleep', '100');
  const [program, ...args] = cli.command([]);
  const bare = async (...words: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await exec(program, [...args.slice(0, args.indexOf('--address')), ...words]);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  const where = ['-a', cli.daemon.address, '-n', cli.daemon.namespace];
  assert.equal(await bare('ps', '-q', ...where), 'web\n');
  assert.equal(await bare(...where, 'ps', '-q'), 'web\n');
  assert.equal(await bare('exec', ...where, 'web', 'echo', '-n', 'x'), 'x');
  assert.equal(await bare('logs', ...where, 'web'), '');
  assert.match(await bare('shim', 'ls', ...where), / web /);
  assert.equal(await bare('-n', 'nobody', 'ps', '-q', ...where), 'web\n');
  assert.equal(await bare('kill', ...where, 'web'), 'web\n');
  await cli.ok('rm', 'web');
});
