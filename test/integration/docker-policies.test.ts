import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { type Dockerd, IMAGE } from '../harness/dockerd.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { reaches, startEngine } from './docker-engine.ts';

// What Docker Engine does by itself about a container, on our daemon: restart policies, OOM kills, health checks.

const bed = testBed();
let engine: Dockerd;
before(async () => {
  ({ engine } = await startEngine(bed));
});

const start = (flags: readonly string[], script: string): Promise<string> =>
  engine.docker('run', '--detach', ...flags, IMAGE, 'sh', '-c', script);
const remove = (id: string): Promise<string> => engine.docker('rm', '--force', id);

test('--restart on-failure:2 starts a failing container twice more, and gives up', async () => {
  const id = await start(['--restart', 'on-failure:2'], 'echo run; exit 3');
  await reaches(engine, id, '.RestartCount', '2');
  await reaches(engine, id, '.State.Status', 'exited');
  assert.equal(await engine.inspect(id, '.State.ExitCode'), '3');
  assert.equal(await engine.docker('logs', id), 'run\nrun\nrun');
  await remove(id);
});

test('--restart on-failure leaves one alone that ended well', async () => {
  const id = await start(['--restart', 'on-failure'], 'exit 0');
  await reaches(engine, id, '.State.Status', 'exited');
  assert.equal(await engine.inspect(id, '.RestartCount'), '0');
  await remove(id);
});

test('--restart always starts a killed container anew, until docker stop', async () => {
  const id = await start(['--restart', 'always'], 'exec sleep 1000');
  const pid = await engine.inspect(id, '.State.Pid');
  process.kill(Number(pid), 'SIGKILL');
  await reaches(engine, id, '.RestartCount', '1');
  await reaches(engine, id, '.State.Status', 'running');
  assert.notEqual(await engine.inspect(id, '.State.Pid'), pid);
  await engine.docker('stop', '--time', '0', id);
  assert.equal(await engine.inspect(id, '.State.Status'), 'exited');
  await remove(id);
});

test('a container that needs more than its --memory is reported as killed for it', async () => {
  const id = await start(['--memory', '16m'], 'x=a; while :; do x=$x$x; done');
  await reaches(engine, id, '.State.Status', 'exited');
  assert.equal(await engine.inspect(id, '.State.OOMKilled'), 'true');
  assert.equal(await engine.inspect(id, '.State.ExitCode'), '137');
  await remove(id);
});

test('a child that is killed for memory is told as an oom event while the container goes on', async () => {
  const since = String(Math.floor(Date.now() / 1000));
  const id = await start(['--memory', '16m'], "sh -c 'x=a; while :; do x=$x$x; done'; echo went on; exec sleep 1000");
  await eventually(async () => (await engine.docker('logs', id)).includes('went on'));
  const oom = async (): Promise<string> => {
    const until = String(Math.floor(Date.now() / 1000) + 1);
    return engine.docker(
      'events',
      '--since',
      since,
      '--until',
      until,
      '--filter',
      `container=${id}`,
      '--filter',
      'event=oom',
    );
  };
  await eventually(async () => (await oom()).includes('container oom'));
  assert.equal(await engine.inspect(id, '.State.Running'), 'true');
  await remove(id);
});

test('a health check makes a container healthy, and unhealthy when it fails', async () => {
  const check = [
    '--health-cmd',
    'test ! -e /tmp/ill',
    '--health-interval',
    '250ms',
    '--health-retries',
    '2',
    '--health-timeout',
    '10s',
  ];
  const id = await start(check, 'exec sleep 1000');
  await reaches(engine, id, '.State.Health.Status', 'healthy');
  await engine.docker('exec', id, 'touch', '/tmp/ill');
  await reaches(engine, id, '.State.Health.Status', 'unhealthy');
  const log = JSON.parse(await engine.docker('inspect', '--format', '{{json .State.Health.Log}}', id)) as {
    ExitCode: number;
  }[];
  assert.equal(log.at(-1)?.ExitCode, 1);
  await remove(id);
});

test('a health check that takes too long is ended', async () => {
  const id = await start(
    ['--health-cmd', 'sleep 600', '--health-interval', '250ms', '--health-timeout', '500ms', '--health-retries', '1'],
    'exec sleep 1000',
  );
  await reaches(engine, id, '.State.Health.Status', 'unhealthy');
  await remove(id);
});
