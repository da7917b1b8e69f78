import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { before, test } from 'node:test';
import type { Daemon } from '../harness/daemon.ts';
import { type Dockerd, IMAGE } from '../harness/dockerd.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { reaches, startEngine } from './docker-engine.ts';

// Docker Engine with --live-restore on our daemon: the engine goes and comes back, with or without the daemon.

const bed = testBed();
let daemon: Daemon;
let engine: Dockerd;
before(async () => {
  ({ daemon, engine } = await startEngine(bed, { args: ['--live-restore'] }));
});

const start = (flags: readonly string[], script: string): Promise<string> =>
  engine.docker('run', '--detach', '--tmpfs', '/tmp', ...flags, IMAGE, 'sh', '-c', script);
const pidOf = async (id: string): Promise<number> => Number(await engine.inspect(id, '.State.Pid'));
const remove = (id: string): Promise<string> => engine.docker('rm', '--force', id);
const isUp = (id: string): Promise<boolean> => eventually(async () => (await engine.docker('logs', id)).includes('up'));

/** Says that it is up, and ends with `code`, after a last word, when it is told to. */
const untilTold = (code: number): string =>
  `echo up; while [ ! -e /tmp/go ]; do sleep 0.02; done; echo last word; exit ${code}`;
const tell = async (pid: number): Promise<void> => {
  writeFileSync(`/proc/${pid}/root/tmp/go`, '');
  await eventually(() => !existsSync(`/proc/${pid}`), { what: `the end of ${pid}` });
};

test('a container outlives a stop of the engine, and is its own again afterwards', async () => {
  const id = await start(['-i'], 'echo up; i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done');
  await isUp(id);
  const pid = await pidOf(id);
  await engine.stop();
  assert.ok(existsSync(`/proc/${pid}`));
  await engine.start();
  assert.deepEqual([await engine.inspect(id, '.State.Status'), await pidOf(id)], ['running', pid]);
  assert.equal((await engine.run(['exec', id, 'sh', '-c', 'exit 6'])).status, 6);
  const lines = async (): Promise<string[]> => (await engine.docker('logs', id)).split('\n');
  const { length } = await lines();
  await eventually(async () => (await lines()).length > length + 3);
  await engine.docker('stop', '--time', '0', id);
  assert.equal(await engine.inspect(id, '.State.ExitCode'), '137');
  await remove(id);
});

test('an exit while the engine is down is learnt with its status and its last output', async () => {
  const id = await start([], untilTold(5));
  await isUp(id);
  const pid = await pidOf(id);
  await engine.kill9();
  await tell(pid);
  const at = Date.now();
  await engine.start();
  await reaches(engine, id, '.State.Status', 'exited');
  assert.equal(await engine.inspect(id, '.State.ExitCode'), '5');
  assert.ok(Math.abs(Date.parse(await engine.inspect(id, '.State.FinishedAt')) - at) < 1_500);
  await remove(id);
});

test('both go; the containers stay, and one that ended meanwhile has its status', async () => {
  const stays = await start([], 'echo up; exec sleep 1000');
  const goes = await start([], untilTold(8));
  await Promise.all([isUp(stays), isUp(goes)]);
  const [staysPid, goesPid] = [await pidOf(stays), await pidOf(goes)];
  await engine.kill9();
  await daemon.kill9();
  await tell(goesPid);
  await daemon.start();
  await engine.start();
  await reaches(engine, goes, '.State.Status', 'exited');
  assert.equal(await engine.inspect(goes, '.State.ExitCode'), '8');
  assert.deepEqual([await engine.inspect(stays, '.State.Status'), await pidOf(stays)], ['running', staysPid]);
  await Promise.all([remove(stays), remove(goes)]);
});

test('a restart policy of an exit while the engine was down is followed', async () => {
  const id = await start(['--restart', 'always'], untilTold(2));
  await isUp(id);
  const pid = await pidOf(id);
  await engine.kill9();
  await tell(pid);
  await engine.start();
  await reaches(engine, id, '.State.Status', 'running');
  assert.notEqual(await pidOf(id), pid);
  await remove(id);
});
