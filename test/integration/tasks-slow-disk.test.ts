import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { VersionDefinition } from '../../proto/gen/containerd/services/version/v1/version.ts';
import { must } from '../harness/exec.ts';
import { TaskWorld } from './tasks-harness.ts';

const LIFECYCLES = 20;
/** On a machine that has a core to spare for the daemon. */
const ANSWER_MS_MAX = 20;
/** Where there is none, containers cost answers time whatever the disk does: as much, within this factor, on any disk. */
const NOISE_FACTOR = 3;

interface Answers {
  readonly median: number;
  readonly p99: number;
}

/** How long Version takes while so many containers live and die at once, ms. */
const answersUnderLoad = async (t: TestContext, env: NodeJS.ProcessEnv): Promise<Answers> => {
  const world = await TaskWorld.start(t, { env });
  await world.run('warm', ['true']);
  await world.remove('warm');
  const playing = new AbortController();
  const live = async (id: string): Promise<void> => {
    await world.run(id, ['sh', '-c', 'exit 3']);
    assert.equal((await world.tasks.wait({ containerId: id })).exitStatus, 3);
    await world.tasks.delete({ containerId: id });
    await world.containers.delete({ id });
  };
  const ask = async (): Promise<number[]> => {
    const client = world.daemon.client();
    const waits: number[] = [];
    while (!playing.signal.aborted) {
      const begun = performance.now();
      await client.service(VersionDefinition).version({});
      waits.push(performance.now() - begun);
      await sleep(5);
    }
    client.close();
    return waits.toSorted((one, other) => one - other);
  };
  const asked = ask();
  await Promise.all(Array.from({ length: LIFECYCLES }, (_, index) => live(`c${index}`)));
  playing.abort();
  const waits = await asked;
  await world.assertNoLeaks();
  const at = (share: number): number => waits[Math.floor(waits.length * share)] ?? Infinity;
  return { median: at(0.5), p99: at(0.99) };
};

test('with every sync slowed by 50 ms, 20 containers at once live and die, and Version is answered as ever', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-slow-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const preload = join(folder, 'slow-disk.so');
  await must('g++', ['-shared', '-fPIC', '-x', 'c', '-o', preload, join(import.meta.dirname, 'slow-disk.c')]);
  const usual = await answersUnderLoad(t, {});
  const slow = await answersUnderLoad(t, { LD_PRELOAD: preload });
  const words = `ms, median and 99 %: ${JSON.stringify({ slow, usual })}`;
  console.log(words);
  assert.ok(slow.median < Math.max(ANSWER_MS_MAX, NOISE_FACTOR * usual.median), words);
  assert.ok(slow.p99 < Math.max(ANSWER_MS_MAX, NOISE_FACTOR * usual.p99), words);
});
