import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Benchmark, type Side, startMany } from './sides.ts';

const COUNT = 20;
/** A shim that has nothing to do collects its garbage after some seconds. */
const IDLE_MS = 8_000;

export const idleMemory: Benchmark = {
  name: 'idle-memory',
  about: `memory of one shim (its share, PSS) with ${COUNT} containers that do nothing`,
  unit: 'kB',
  pairs: COUNT,
  goal: { median: 15_000 },
  async measure(sides) {
    await startMany(sides.theirs, COUNT);
    await startMany(sides.ours, COUNT);
    // Each has been used once, as in life: what only the first call loads is loaded.
    for (const side of [sides.theirs, sides.ours]) {
      for (let index = 0; index < COUNT; index += 1) {
        await side.daemon.ctr.ok('tasks', 'exec', '--exec-id', 'e', `c${index}`, '/bin/true');
      }
    }
    await sleep(IDLE_MS);
    return { theirs: await shims(sides.theirs), ours: await shims(sides.ours) };
  },
};

/** A shim is the parent of its container's first process. */
const shims = async (side: Side): Promise<number[]> => {
  const rows = (await side.daemon.ctr.ok('tasks', 'ls')).trimEnd().split('\n').slice(1);
  const pids = new Set(rows.map((row) => parentOf(Number(row.split(/\s+/)[1]))));
  if (pids.size !== COUNT) throw new Error(`${side.daemon.name}: ${pids.size} shims for ${COUNT} containers`);
  return [...pids].map(pss);
};

const parentOf = (pid: number): number =>
  Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

/** Proportional set size, kB. */
const pss = (pid: number): number =>
  Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]);
