import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { isMore, type OomState, oomState, watchOomV2 } from '../../shim/cgroup/oom.ts';
import { eventually } from '../harness/wait.ts';

/** Longer than an inotify event needs to come. */
const QUIET_MS = 100;

/** A made-up cgroup of version 2 whose watch counts what it reports. */
const watched = (t: TestContext, kills: number) => {
  const directory = mkdtempSync(join(tmpdir(), 'oom-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const write = (count: number): void =>
    writeFileSync(join(directory, 'memory.events'), `low 0\nhigh 0\nmax 9\noom 4\noom_kill ${count}\n`);
  write(kills);
  let reported = 0;
  const watch = watchOomV2(directory, () => (reported += 1));
  assert.ok(watch);
  t.after(() => watch.close());
  return { directory, watch, write, reported: () => reported };
};

test('v2: a kill is reported by itself, and once', async (t) => {
  const { watch, write, reported } = watched(t, 0);
  write(1);
  await eventually(() => reported() === 1);
  watch.check();
  await sleep(QUIET_MS);
  assert.equal(reported(), 1);
});

test('v2: a check reports at once what nobody has told yet, and nothing the second time', (t) => {
  const { watch, write, reported } = watched(t, 0);
  write(3);
  watch.check();
  assert.equal(reported(), 1);
  watch.check();
  assert.equal(reported(), 1);
  write(4);
  watch.check();
  assert.equal(reported(), 2);
});

test('v2: kills from before the watch are not its own, nor is a cgroup that is full but kills nobody', async (t) => {
  const { watch, write, reported } = watched(t, 7);
  write(7);
  watch.check();
  await sleep(QUIET_MS);
  assert.equal(reported(), 0);
});

test('v2: the removal of the cgroup reports nothing', async (t) => {
  const { directory, watch, reported } = watched(t, 2);
  rmSync(directory, { recursive: true });
  await sleep(QUIET_MS);
  watch.check();
  assert.equal(reported(), 0);
});

test('v2: after close nothing is reported, and both may be repeated', async (t) => {
  const { watch, write, reported } = watched(t, 0);
  watch.close();
  write(1);
  await sleep(QUIET_MS);
  watch.check();
  watch.close();
  assert.equal(reported(), 0);
});

test('v2: a closed watch leaves no descriptor', async (t) => {
  const { watch } = watched(t, 0);
  assert.ok(inotifies() > 0);
  watch.close();
  await eventually(() => inotifies() === 0);
});

/** Descriptors of inotify that this process has. */
const inotifies = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).includes('inotify');
    } catch {
      return false; // the one that lists them
    }
  }).length;

test('v2: without a memory controller there is no watch', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'oom-'));
  t.after(() => rmSync(directory, { recursive: true }));
  assert.equal(
    watchOomV2(directory, () => undefined),
    undefined,
  );
});

test('v1: the state of a cgroup holds the kills of those below it', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'oom-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const write = (path: string, kills: number): void => {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), `oom_kill_disable 1\nunder_oom 1\noom_kill ${kills}\n`);
  };
  write('memory.oom_control', 1);
  write('a/memory.oom_control', 0);
  write('a/b/memory.oom_control', 3);
  const kills = new Map([
    [directory, 1n],
    [join(directory, 'a'), 0n],
    [join(directory, 'a/b'), 3n],
  ]);
  assert.deepEqual(oomState(directory), { kills, stuck: true });
});

test('v1: a cgroup that is gone has no OOM', () => {
  const state = oomState('/nonexistent');
  assert.equal(isMore({ kills: new Map([['/nonexistent', 2n]]), stuck: false }, state), false);
});

test('v1: where the kernel may not kill, running out of memory is reported once until it is over', () => {
  const [free, stuck]: OomState[] = [
    { kills: new Map(), stuck: false },
    { kills: new Map(), stuck: true },
  ];
  assert.deepEqual([isMore(free!, stuck!), isMore(stuck!, stuck!), isMore(stuck!, free!)], [true, false, false]);
});

test('v1: every kill that is looked for is reported once, whatever cgroups come and go', () => {
  const step = fc.record({ path: fc.constantFrom('/', '/a', '/b'), event: fc.constantFrom('kill', 'remove', 'none') });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const kills = new Map<string, bigint>();
      let seen: OomState = { kills: new Map(), stuck: false };
      for (const { path, event } of steps) {
        if (event === 'kill') kills.set(path, (kills.get(path) ?? 0n) + 1n);
        if (event === 'remove') kills.delete(path);
        const now = { kills: new Map(kills), stuck: false };
        assert.equal(isMore(seen, now), event === 'kill');
        seen = now;
      }
    }),
  );
});
