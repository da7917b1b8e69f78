import './peers.ts';
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random, seedOfRun } from '../chaos/random.ts';
import { IMAGE } from '../harness/dockerd.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { reaches, reconnected, startEngine } from '../integration/docker-engine.ts';

// Docker Engine 28 follows restart policies while our daemon is killed at any moment. Not asked of 20.10: it reports 255
// when its Delete was cut off (tried on containerd too), and tells of no die when its Start was.

const KILLS = process.env['HOLDFAST_TEST_LONG'] === '1' ? 100 : 6;
const CONTAINERS = 4;
/** The engine doubles its pause before each restart, from 100 ms: after so many runs a container is replaced. */
const RUNS_MAX = 4;
/** From a daemon's return to its next kill, and from a kill to the return, at most, ms. */
const UP_MS_MAX = 1_000;
const AWAY_MS_MAX = 600;
const STATUS = 3;

const bed = testBed();

test(`with --restart always and ${KILLS} kills of the daemon at random moments each exit is one die`, async () => {
  const random = new Random(seedOfRun());
  const { daemon, engine } = await startEngine(bed);
  const format = '{{.Actor.ID}} {{.Actor.Attributes.exitCode}}';
  const dies = engine.attach(['events', '--since', '0', '--filter', 'event=die', '--format', format]);
  const told = (id: string): string[] =>
    dies.stdout.split('\n').flatMap((line) => (line.startsWith(id) ? [line.slice(id.length)] : []));
  // It forgets what a call that was cut off has made, a created task say, when it removes the container.
  bed.defer(async () => {
    if (!daemon.running) await daemon.start();
    await daemon.ctr.in(engine.namespace).removeAll();
  });
  const runs = bed.folder('runs');
  const runsOf = (id: string): number => {
    const file = `${runs}/${id.slice(0, 12)}`; // the container's host name
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0;
  };
  const begin = (): Promise<string> => {
    const script = `echo run >> /runs/$HOSTNAME; sleep 0.$((RANDOM % 6 + 1)); exit ${STATUS}`;
    const volume = `${runs}:/runs`;
    return engine.docker('run', '--detach', '--restart', 'always', '--volume', volume, IMAGE, 'sh', '-c', script);
  };
  const retired: string[] = [];
  const retire = async (id: string): Promise<void> => {
    await engine.docker('stop', id);
    await reaches(engine, id, '.State.Status', 'exited');
    // The engine takes a start that was cut off for one that failed; its process runs all the same, and ends later.
    await eventually(() => told(id).length >= runsOf(id), { what: `a die for each run of ${id}` });
    await engine.docker('rm', id);
    retired.push(id);
  };

  let ids = await Promise.all(Array.from({ length: CONTAINERS }, begin));
  for (let kill = 0; kill < KILLS; kill += 1) {
    await sleep(random.between(0, UP_MS_MAX));
    await daemon.kill9();
    await sleep(random.between(0, AWAY_MS_MAX));
    await daemon.start();
    await reconnected(engine);
    ids = await Promise.all(
      ids.map(async (id) => {
        // The engine gives up a container whose restart fails because nobody is there to do it.
        const ended = (await engine.inspect(id, '.State.Status')) === 'exited';
        if (!ended && runsOf(id) < RUNS_MAX) return id;
        await retire(id);
        return begin();
      }),
    );
  }
  await Promise.all(ids.map(retire));
  const last = await engine.docker('run', '--detach', IMAGE, 'true');
  await dies.says(`${last} 0`); // all that was told before is there too
  dies.signal('SIGTERM');
  await dies.end();
  assert.deepEqual(
    retired.map(told),
    retired.map((id) => Array.from({ length: runsOf(id) }, () => ` ${STATUS}`)),
  );
});
