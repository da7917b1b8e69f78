import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { unpackAny } from '../../common/any.ts';
import { TaskCreate, TaskDelete, TaskExit, TaskStart } from '../../proto/gen/containerd/events/event_payloads.ts';
import type { Envelope } from '../../proto/gen/containerd/types/types.ts';
import { eventually } from '../harness/wait.ts';
import { TaskWorld } from '../integration/tasks-harness.ts';
import { Actor, type Life, type Phase, phases, type Stage } from './actor.ts';
import { Random, seedOfRun } from './random.ts';

const isLong = process.env['HOLDFAST_TEST_LONG'] === '1';
/** How often the daemon is killed, alone, and together with a shim. */
const KILLS = { alone: isLong ? 200 : 40, withShim: isLong ? 200 : 12 };
/** Containers that live and die, and containers that only live. Together 20 at any moment. */
const ACTORS = 16;
const STEADY = 4;
/** From the moment that a phase is seen to its kill, at most, ms: about as long as the slowest takes. */
const AIM_MS_MAX = 60;
/** How long the daemon stays away, at most, ms. */
const AWAY_MS_MAX = 400;
/** After this, what was acknowledged late has been acknowledged, ms. */
const SETTLE_MS = 2_000;

test('a daemon that is killed at random moments loses no container, invents no exit and leaves nothing behind', (t) =>
  kill(t, KILLS.alone, () => undefined));

test('the same when a shim is killed along with it, each time another', (t) =>
  kill(t, KILLS.withShim, ({ world, random, standing, orphaned }) => {
    const id = random.pick([...standing.keys()]);
    orphaned.add(id);
    killShim(world, id);
  }));

/** `along`: what else is killed each time. */
const kill = async (t: TestContext, total: number, along: (stage: Stage) => void): Promise<void> => {
  const random = new Random(seedOfRun());
  const world = await TaskWorld.start(t);
  let listening = Promise.resolve();
  const failed = new AbortController();
  const shared = { lives: [], standing: new Map(), orphaned: new Set<string>() };
  const stage: Stage = { world, random, ...shared, up: () => listening, failed: failed.signal };
  for (let index = 0; index < STEADY; index += 1) {
    stage.standing.set(`steady-${index}`, await world.run(`steady-${index}`, ['sleep', '100000']));
  }
  const steady = new Map(stage.standing);
  const actors = Array.from({ length: ACTORS }, (_, index) => new Actor(`a${index}`, stage));
  const playing = new AbortController();
  const play = Promise.all(actors.map((actor) => live(actor, playing, failed)));
  play.catch(() => undefined); // looked at when the curtain falls

  const hits = new Map<Phase, number>(phases.map((phase) => [phase, 0]));
  for (let kills = 0; kills < total && !playing.signal.aborted; kills += 1) {
    const aim = random.pick(phases.filter((phase) => hits.get(phase) === Math.min(...hits.values())));
    await eventually(() => playing.signal.aborted || actors.some(({ phase }) => phase === aim), {
      what: `somebody in ${aim}`,
      everyMs: 1,
    });
    await sleep(random.between(0, AIM_MS_MAX));
    for (const phase of new Set(actors.map((actor) => actor.phase))) {
      if (phase !== undefined) hits.set(phase, (hits.get(phase) ?? 0) + 1);
    }
    const back = Promise.withResolvers<void>();
    listening = back.promise;
    along(stage);
    await world.kill();
    await sleep(random.between(0, AWAY_MS_MAX));
    await world.up();
    await assertListed(world, stage);
    back.resolve();
  }
  playing.abort();
  await play;
  console.log(
    `${total} kills; phases hit: ${[...hits].map(([phase, count]) => `${phase} ${count}`).join(', ')}; lives: ${stage.lives.length}`,
  );

  for (const [phase, count] of hits) assert.ok(count > 0, `no kill hit ${phase}`);
  for (const [id, pid] of steady) {
    assert.ok(existsSync(`/proc/${pid}`), `${id} is still alive`);
    assert.equal((await world.tasks.get({ containerId: id })).process?.pid, pid);
    await world.remove(id);
  }
  await sleep(SETTLE_MS);
  const events = await world.history();
  for (const life of stage.lives) assertTold(events, life);
  assert.deepEqual((await world.tasks.list({})).tasks, []);
  await world.assertNoLeaks();
};

const killShim = (world: TaskWorld, id: string): void => {
  try {
    process.kill(world.shimPid(id), 'SIGKILL');
  } catch {} // its container is gone just now
};

/** Until the play is over; the first that fails ends it for all. */
const live = async (actor: Actor, playing: AbortController, failed: AbortController): Promise<void> => {
  try {
    while (!playing.signal.aborted) await actor.live();
  } catch (error) {
    playing.abort();
    failed.abort();
    throw error;
  }
};

/** Right after a start: whoever stands is listed, once, as the process that it is. */
const assertListed = async (world: TaskWorld, { standing }: Stage): Promise<void> => {
  const expected = new Map(standing);
  const { tasks } = await world.tasks.list({});
  assert.equal(new Set(tasks.map(({ id }) => id)).size, tasks.length, 'nothing is listed twice');
  const listed = new Map(tasks.map(({ id, pid }) => [id, pid]));
  for (const [id, pid] of expected) assert.equal(listed.get(id), pid, `${id} is listed`);
};

/** Each life was told of once: created, started, ended as it did, deleted. An attempt that was undone never started. */
const assertTold = (events: readonly Envelope[], { id, pid, status, exec }: Life): void => {
  const about = events.filter(({ event }) => containerOf(event) === id);
  const mine = about.flatMap(({ topic, event }) => (initPid(event) === pid ? [topic] : []));
  assert.deepEqual(mine, ['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete'], `events of ${id}`);
  const exits = about.flatMap(({ event }) => unpackAny(event, 'containerd.events.TaskExit', TaskExit) ?? []);
  assert.deepEqual(
    exits.filter((exit) => exit.pid === pid).map(({ exitStatus }) => exitStatus),
    [status],
    `exit of ${id}`,
  );
  if (exec !== undefined) {
    const told = exits.filter((exit) => exit.pid === exec.pid && exit.id !== id).map(({ exitStatus }) => exitStatus);
    assert.deepEqual(told, [exec.status], `exit of the exec in ${id}`);
  }
  for (const { event } of about) {
    const start = unpackAny(event, 'containerd.events.TaskStart', TaskStart);
    if (start !== undefined) assert.equal(start.pid, pid, `only the task that was answered for was started: ${id}`);
  }
};

const containerOf = (event: Envelope['event']): string | undefined => {
  for (const [name, codec] of codecs) {
    const message = unpackAny(event, `containerd.events.${name}`, codec as typeof TaskExit);
    if (message !== undefined) return message.containerId;
  }
  return undefined;
};

const initPid = (event: Envelope['event']): number | undefined => {
  for (const [name, codec] of codecs) {
    const message = unpackAny(event, `containerd.events.${name}`, codec as typeof TaskExit);
    if (message !== undefined)
      return name === 'TaskExit' && message.id !== message.containerId ? undefined : message.pid;
  }
  return undefined;
};

const codecs = [
  ['TaskCreate', TaskCreate],
  ['TaskStart', TaskStart],
  ['TaskExit', TaskExit],
  ['TaskDelete', TaskDelete],
] as const;
