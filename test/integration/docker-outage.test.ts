import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Daemon } from '../harness/daemon.ts';
import { type Dockerd, IMAGE } from '../harness/dockerd.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { diesOf, reaches, reconnected, startEngine } from './docker-engine.ts';

// kill -9, or an orderly stop, of our daemon under a Docker Engine that stays up.

/** containerd's shim gives an event up when it cannot deliver it for some 15 s; then dockerd never hears of an exit. */
const LONG_OUTAGE_MS = 20_000;

const bed = testBed();
let daemon: Daemon;
let engine: Dockerd;
before(async () => {
  ({ daemon, engine } = await startEngine(bed));
});

const start = (flags: readonly string[], script: string): Promise<string> =>
  engine.docker('run', '--detach', ...flags, IMAGE, 'sh', '-c', script);
const pidOf = async (id: string): Promise<number> => Number(await engine.inspect(id, '.State.Pid'));
const remove = (id: string): Promise<string> => engine.docker('rm', '--force', id);

/** The daemon is killed, unless it is to go in another way, `meanwhile` happens, and it comes back. */
const outage = async (meanwhile: () => Promise<unknown>, go = () => daemon.kill9()): Promise<void> => {
  await go();
  await meanwhile();
  await daemon.start();
  await reconnected(engine);
};

const ended = (pid: number): Promise<boolean> =>
  eventually(() => !existsSync(`/proc/${pid}`), { what: `the end of ${pid}` });
const end = async (pid: number, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
  process.kill(pid, signal);
  await ended(pid);
};

/** Ends with `code` at SIGTERM. */
const until = (code: number): string => `trap "exit ${code}" TERM; echo up; while :; do sleep 0.05; done`;
const isUp = (id: string): Promise<boolean> => eventually(async () => (await engine.docker('logs', id)).includes('up'));

test('a running container does not notice, and is served as before', async () => {
  const id = await start([], 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done');
  const pid = await pidOf(id);
  await eventually(async () => (await engine.docker('logs', id)).split('\n').length > 3);
  await outage(() => Promise.resolve());
  assert.deepEqual([await engine.inspect(id, '.State.Status'), await pidOf(id)], ['running', pid]);
  assert.equal((await engine.run(['exec', id, 'sh', '-c', 'exit 6'])).status, 6);
  const lines = async (): Promise<string[]> => (await engine.docker('logs', id)).split('\n');
  const { length } = await lines();
  await eventually(async () => (await lines()).length > length + 3);
  const numbers = (await lines()).map(Number);
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => index + 1),
    'every line, once, in order',
  );
  await remove(id);
});

test('an exit at the begin of a long outage is learnt with its true status and time', async () => {
  const id = await start([], until(7));
  await isUp(id);
  const pid = await pidOf(id);
  let at = 0;
  await outage(async () => {
    await end(pid);
    at = Date.now();
    await sleep(LONG_OUTAGE_MS);
  });
  await reaches(engine, id, '.State.Status', 'exited');
  assert.equal(await engine.inspect(id, '.State.ExitCode'), '7');
  const finished = Date.parse(await engine.inspect(id, '.State.FinishedAt'));
  assert.ok(Math.abs(finished - at) < 1_500, `off by ${finished - at} ms`);
  await remove(id);
});

test('a kill -9 and an OOM kill while the daemon is down are told as such', async () => {
  const killed = await start([], 'exec sleep 1000');
  const script = 'while [ ! -e /tmp/go ]; do sleep 0.05; done; x=a; while :; do x=$x$x; done';
  const hungry = await start(['--memory', '16m', '--tmpfs', '/tmp'], script);
  const [killedPid, hungryPid] = [await pidOf(killed), await pidOf(hungry)];
  await outage(async () => {
    await end(killedPid, 'SIGKILL');
    writeFileSync(`/proc/${hungryPid}/root/tmp/go`, '');
    await ended(hungryPid);
  });
  for (const id of [killed, hungry]) {
    await reaches(engine, id, '.State.Status', 'exited');
    assert.equal(await engine.inspect(id, '.State.ExitCode'), '137');
  }
  assert.equal(await engine.inspect(hungry, '.State.OOMKilled'), 'true');
  assert.equal(await engine.inspect(killed, '.State.OOMKilled'), 'false');
  await Promise.all([remove(killed), remove(hungry)]);
});

test('each exit is handled once: a container with --restart always has one restart more', async () => {
  const id = await start(['--restart', 'always'], until(3));
  await isUp(id);
  const pid = await pidOf(id);
  await outage(() => end(pid));
  await reaches(engine, id, '.RestartCount', '1');
  await reaches(engine, id, '.State.Status', 'running');
  assert.deepEqual(await diesOf(engine, id), ['3']);
  assert.equal(await engine.inspect(id, '.RestartCount'), '1');
  await remove(id);
});

test('an orderly stop ends the stream of events so that the engine subscribes again', async () => {
  const stop = async (): Promise<void> => assert.equal(await daemon.stop(), 0);
  for (const code of [7, 8, 9]) {
    const [during, after] = await Promise.all([start([], until(code)), start([], until(code + 10))]);
    await Promise.all([isUp(during), isUp(after)]);
    const pid = await pidOf(during);
    await outage(() => end(pid), stop);
    await end(await pidOf(after));
    await reaches(engine, during, '.State.ExitCode', String(code));
    await reaches(engine, after, '.State.ExitCode', String(code + 10));
    assert.deepEqual([await diesOf(engine, during), await diesOf(engine, after)], [[`${code}`], [`${code + 10}`]]);
    await Promise.all([remove(during), remove(after)]);
  }
});

test('the output of an outage is complete afterwards', async () => {
  const id = await start(
    ['--tmpfs', '/tmp'],
    'echo up; while [ ! -e /tmp/go ]; do sleep 0.02; done; seq 1 3000; exit 4',
  );
  await isUp(id);
  const pid = await pidOf(id);
  await outage(async () => {
    writeFileSync(`/proc/${pid}/root/tmp/go`, '');
    await ended(pid);
  });
  await reaches(engine, id, '.State.ExitCode', '4');
  assert.deepEqual((await engine.docker('logs', id)).split('\n').slice(-2), ['2999', '3000']);
  await remove(id);
});

test('an exec that ends while the daemon is down gives its exit code to the client that waits', async () => {
  const id = await start([], 'exec sleep 1000');
  const session = engine.attach(['exec', id, 'sh', '-c', `echo $$; ${until(9)}`]);
  await session.says('up');
  const child = await eventually(() => execOf(id));
  await outage(() => end(child));
  assert.equal((await session.end()).status, 9);
  await remove(id);
});

test('a container that is stopped and removed after an outage leaves nothing', async () => {
  const id = await start(['--name', 'later'], until(0));
  await isUp(id);
  await outage(() => Promise.resolve());
  await engine.docker('stop', id);
  assert.equal(await engine.inspect(id, '.State.ExitCode'), '0');
  await remove(id);
  assert.equal(await daemon.ctr.in(engine.namespace).ok('containers', 'ls', '-q'), '');
});

test('ten outages in a row while containers come and go: every exit code is right', async () => {
  for (let round = 1; round <= 10; round += 1) {
    const id = await start([], until(round));
    await isUp(id);
    const pid = await pidOf(id);
    await (round % 2 === 0 ? outage(() => end(pid)) : outage(() => Promise.resolve()).then(() => end(pid)));
    await reaches(engine, id, '.State.Status', 'exited');
    assert.equal(await engine.inspect(id, '.State.ExitCode'), String(round));
    await remove(id);
  }
});

/** The pid on the host of the process beside the container's first. */
const execOf = async (id: string): Promise<number | undefined> => {
  const first = await pidOf(id);
  const rows = (await engine.docker('top', id, '-o', 'pid,args')).split('\n').slice(1);
  const pids = rows.filter((row) => row.includes('trap')).map((row) => Number(row.trim().split(/\s+/)[0]));
  return pids.find((pid) => pid !== first);
};
