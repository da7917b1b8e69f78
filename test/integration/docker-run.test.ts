import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { type Dockerd, IMAGE } from '../harness/dockerd.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { reaches, startEngine } from './docker-engine.ts';

// Docker Engine on our daemon: what its users do all day.

const bed = testBed();
let engine: Dockerd;
before(async () => {
  ({ engine } = await startEngine(bed));
});

/** Starts a container that stays, and gives its id; it is removed after the test. */
const start = async (flags: readonly string[] = [], command: readonly string[] = ['sleep', '1000']): Promise<string> =>
  engine.docker('run', '--detach', ...flags, IMAGE, ...command);
const remove = (id: string): Promise<string> => engine.docker('rm', '--force', id);

test('docker run gives the output and the exit code of the container', async () => {
  const { status, stdout, stderr } = await engine.run([
    'run',
    '--rm',
    IMAGE,
    'sh',
    '-c',
    'echo out; echo err >&2; exit 7',
  ]);
  assert.deepEqual([status, stdout, stderr], [7, 'out\n', 'err\n']);
});

test('docker run --rm leaves nothing', async () => {
  assert.equal(await engine.docker('ps', '--all', '--quiet'), '');
});

test('docker run of a program that is not there gives 127, of one that may not be run 126', async () => {
  const statuses = [];
  for (const program of ['/bin/nothing', '/etc/passwd'])
    statuses.push((await engine.run(['run', '--rm', IMAGE, program])).status);
  assert.deepEqual(statuses, [127, 126]);
});

test('docker run -i passes stdin and its end', async () => {
  const { status, stdout } = await engine.run(['run', '--rm', '-i', IMAGE, 'cat'], { input: 'one\ntwo\n' });
  assert.deepEqual([status, stdout], [0, 'one\ntwo\n']);
});

test('docker run with much output gives all of it', async () => {
  const { stdout } = await engine.run(['run', '--rm', IMAGE, 'seq', '1', '200000']);
  assert.equal(stdout.length, 1_288_895);
});

test('docker run with user, directory, environment, memory, cpus, read-only root and a host’s network', async () => {
  const flags = [
    '--user',
    '1000:2000',
    '--workdir',
    '/tmp',
    '--env',
    'X=y',
    '--memory',
    '64m',
    '--cpus',
    '0.5',
    '--read-only',
    '--network',
    'host',
  ];
  const script =
    'id; pwd; echo $X; touch /x 2>&1; cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max';
  const { stdout } = await engine.run(['run', '--rm', ...flags, IMAGE, 'sh', '-c', script]);
  assert.match(
    stdout,
    /^uid=1000\(user\) gid=2000\(extra\).*\n\/tmp\ny\ntouch: \/x: Read-only file system\n67108864\n$/,
  );
});

test('docker run --init and --network none', async () => {
  const script = 'cat /proc/1/comm; ip -o link | wc -l';
  const { stdout } = await engine.run(['run', '--rm', '--init', '--network', 'none', IMAGE, 'sh', '-c', script]);
  assert.equal(stdout, 'docker-init\n1\n');
});

test('docker run -it: a terminal with its size, what is typed, and the exit code', async () => {
  const terminal = engine.terminal([
    'run',
    '--rm',
    '-it',
    IMAGE,
    'sh',
    '-c',
    'until [ "$(stty size)" = "30 100" ]; do sleep 0.05; done; tty; read x; echo "[$x]"; exit 9',
  ]);
  await terminal.shows('/dev/pts/0');
  terminal.write('typed\r');
  assert.equal(await terminal.end(), 9);
  assert.match(terminal.screen, /\[typed\]/);
});

test('docker run -it, detached by its keys, goes on and can be attached again', async () => {
  const script = 'echo ready; read x; echo "[$x]"; exit 3';
  const first = engine.terminal(['run', '-it', '--name', 'keys', IMAGE, 'sh', '-c', script]);
  await first.shows('ready');
  first.write('\u0010\u0011');
  assert.equal(await first.end(), 0);
  assert.equal(await engine.inspect('keys', '.State.Running'), 'true');
  const second = engine.terminal(['attach', 'keys']);
  second.write('again\r');
  assert.equal(await second.end(), 3);
  assert.match(second.screen, /\[again\]/);
  await remove('keys');
});

test('docker logs has every line of both streams, and --follow ends with the container', async () => {
  const id = await start([], ['sh', '-c', 'for i in 1 2 3; do echo out $i; echo err $i >&2; sleep 0.1; done']);
  const { status, stdout, stderr } = await engine.run(['logs', '--follow', id]);
  assert.deepEqual([status, stdout, stderr], [0, 'out 1\nout 2\nout 3\n', 'err 1\nerr 2\nerr 3\n']);
  await remove(id);
});

test('docker attach gets the output from now on, passes stdin, and ends with the exit code', async () => {
  const id = await start(['-i'], ['sh', '-c', 'read x; echo "got $x"; exit 4']);
  const session = engine.attach(['attach', id]);
  session.write('hello\n');
  const { status, stdout } = await session.end();
  assert.deepEqual([status, stdout], [4, 'got hello\n']);
  await remove(id);
});

test('docker top lists the processes, docker stats what they use', async () => {
  const id = await start([], ['sh', '-c', 'sleep 1000 & sleep 1000; true']);
  await eventually(async () => (await engine.docker('top', id)).split('\n').length === 4);
  const stats = JSON.parse(await engine.docker('stats', '--no-stream', '--format', '{{json .}}', id)) as Record<
    string,
    string
  >;
  assert.equal(stats.PIDs, '3');
  assert.match(stats.MemUsage ?? '', /^[1-9][\d.]*[KM]iB \//);
  await remove(id);
});

test('docker pause holds every process, unpause lets them go on', async () => {
  const id = await start([], ['sh', '-c', 'while :; do date +%s%N > /tmp/tick; sleep 0.02; done']);
  await engine.docker('pause', id);
  assert.equal(await engine.inspect(id, '.State.Status'), 'paused');
  assert.match((await engine.run(['exec', id, 'true'])).stderr, /is paused/);
  await engine.docker('unpause', id);
  const tick = await engine.docker('exec', id, 'cat', '/tmp/tick');
  await eventually(async () => (await engine.docker('exec', id, 'cat', '/tmp/tick')) > tick);
  await remove(id);
});

test('docker kill and docker stop: signals, exit codes, and the grace before the end', async () => {
  const traps = 'trap "exit 44" USR1; trap "exit 45" TERM; echo up; while :; do sleep 0.05; done';
  const ends = async (...verb: readonly string[]): Promise<string> => {
    const id = await start([], ['sh', '-c', traps]);
    await eventually(async () => (await engine.docker('logs', id)) === 'up');
    await engine.docker(...verb, id);
    await reaches(engine, id, '.State.Running', 'false');
    const code = await engine.inspect(id, '.State.ExitCode');
    await remove(id);
    return code;
  };
  assert.deepEqual(await Promise.all([ends('kill'), ends('kill', '--signal', 'USR1'), ends('stop')]), [
    '137',
    '44',
    '45',
  ]);
});

test('docker stop kills what does not listen when the grace is over', async () => {
  const id = await start();
  const { ms } = await engine.run(['stop', '--time', '1', id]);
  assert.ok(ms > 900 && ms < 8_000, `took ${ms} ms`);
  assert.equal(await engine.inspect(id, '.State.ExitCode'), '137');
  await remove(id);
});

test('docker restart, wait, update, rename, create and start', async () => {
  const id = await start(['--name', 'many', '--memory', '64m']);
  const pid = await engine.inspect(id, '.State.Pid');
  await engine.docker('restart', '--time', '0', id);
  assert.notEqual(await engine.inspect(id, '.State.Pid'), pid);
  await engine.docker('update', '--memory', '32m', '--memory-swap', '-1', id);
  assert.match(await engine.docker('exec', id, 'cat', '/sys/fs/cgroup/memory/memory.limit_in_bytes'), /33554432/);
  const waiting = engine.attach(['wait', id]);
  await engine.docker('kill', id);
  assert.equal((await waiting.end()).stdout, '137\n');
  await remove(id);
  await engine.docker('create', '--name', 'made', IMAGE, 'sh', '-c', 'echo made; exit 6');
  const { status, stdout } = await engine.run(['start', '--attach', 'made']);
  assert.deepEqual([status, stdout], [6, 'made\n']);
  await remove('made');
});
