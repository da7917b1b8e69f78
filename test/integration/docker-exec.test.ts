import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { type Dockerd, IMAGE } from '../harness/dockerd.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { diesOf, startEngine } from './docker-engine.ts';

// `docker exec` on our daemon. The engine waits up to 2 s for the end of a process's output: it must never have to.

const SLOW_MS = 2_000;
const EXECS = process.env['HOLDFAST_TEST_LONG'] === '1' ? 500 : 50;
const bed = testBed();
let engine: Dockerd;
let id: string;
before(async () => {
  ({ engine } = await startEngine(bed));
  id = await engine.docker('run', '--detach', IMAGE, 'sleep', '1000');
});

test(`docker exec c false gives 1, ${EXECS} times in a row, and none takes 2 s`, async () => {
  const results: [number, boolean][] = [];
  for (let i = 0; i < EXECS; i += 1) {
    const { status, ms } = await engine.run(['exec', id, 'false']);
    results.push([status, ms < SLOW_MS]);
  }
  assert.deepEqual(
    results,
    Array.from({ length: EXECS }, () => [1, true]),
  );
});

test('docker run --rm never takes 2 s either, whatever its exit code', async () => {
  const results: [number, boolean][] = [];
  for (let code = 0; code < 10; code += 1) {
    const { status, ms } = await engine.run(['run', '--rm', IMAGE, 'sh', '-c', `exit ${code}`]);
    results.push([status, ms < SLOW_MS]);
  }
  assert.deepEqual(
    results,
    Array.from({ length: 10 }, (_, code) => [code, true]),
  );
});

test('20 execs at once in one container each give their own exit code and output', async () => {
  const codes = Array.from({ length: 20 }, (_, index) => index + 1);
  const results = await Promise.all(
    codes.map((code) => engine.run(['exec', id, 'sh', '-c', `echo ${code}; exit ${code}`])),
  );
  assert.deepEqual(
    results.map(({ status, stdout }) => [status, stdout]),
    codes.map((code) => [code, `${code}\n`]),
  );
});

test('docker exec with user, directory, environment and stdin', async () => {
  const flags = ['-i', '--user', '1000', '--workdir', '/tmp', '--env', 'X=y'];
  const { stdout } = await engine.run(['exec', ...flags, id, 'sh', '-c', 'id -u; pwd; echo $X; cat'], {
    input: 'in\n',
  });
  assert.equal(stdout, '1000\n/tmp\ny\nin\n');
});

test('docker exec -it has a terminal', async () => {
  const terminal = engine.terminal(['exec', '-it', id, 'sh', '-c', 'tty; read x; echo "[$x]"; exit 12']);
  await terminal.shows('/dev/pts/');
  terminal.write('typed\r');
  assert.equal(await terminal.end(), 12);
  assert.match(terminal.screen, /\[typed\]/);
});

test('docker exec -d returns at once, and the process is seen by docker top', async () => {
  await engine.docker('exec', '--detach', id, 'sleep', '4321');
  await eventually(async () => (await engine.docker('top', id)).includes('sleep 4321'));
});

test('docker exec of a program that is not there, or may not be run, gives the code that says so', async () => {
  const statuses = [];
  for (const program of ['nothing', '/etc/passwd']) statuses.push((await engine.run(['exec', id, program])).status);
  // 20.10 does not tell them apart, on containerd either.
  assert.deepEqual(statuses, [(await engine.major()) === 20 ? 126 : 127, 126]);
});

test('an exec that writes much gives all of it, and one that leaves a child behind ends all the same', async () => {
  assert.equal((await engine.run(['exec', id, 'seq', '1', '200000'])).stdout.length, 1_288_895);
  const { status } = await engine.run(['exec', id, 'sh', '-c', 'sleep 1000 >/dev/null 2>&1 & exit 5']);
  assert.equal(status, 5);
});

test('an exec that runs when its container is killed ends with it', async () => {
  const other = await engine.docker('run', '--detach', IMAGE, 'sleep', '1000');
  const session = engine.attach(['exec', other, 'sh', '-c', 'echo up; exec sleep 1000']);
  await session.says('up');
  await engine.docker('kill', other);
  const { status, ms } = await session.end();
  assert.equal(status, 137);
  assert.ok(ms < 10_000);
  await engine.docker('rm', other);
});

test('a container that ended is told as ended once', async () => {
  const other = await engine.docker('run', '--detach', IMAGE, 'sh', '-c', 'exit 8');
  assert.equal(await engine.docker('wait', other), '8');
  await engine.docker('rm', other);
  assert.deepEqual(await diesOf(engine, other), ['8']);
});
