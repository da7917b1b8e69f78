import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { VersionDefinition } from '../../proto/gen/containerd/services/version/v1/version.ts';
import { must } from '../harness/exec.ts';
import { Bed } from '../harness/temp.ts';
import { TaskWorld } from './tasks-harness.ts';

const LIFECYCLES = 20;
/** Each of them lives so many containers. */
const ROUNDS = 2;
const P99_MS_MAX = 20;

test('with every sync slowed by 50 ms, 20 containers at once live and die, and Version is answered in 20 ms', async (t) => {
  const bed = new Bed();
  t.after(() => bed.remove());
  const preload = bed.path('slow-disk.so');
  await must('g++', ['-shared', '-fPIC', '-x', 'c', '-o', preload, join(import.meta.dirname, 'slow-disk.c')]);
  const world = await TaskWorld.start(t, { env: { LD_PRELOAD: preload } });
  await world.run('warm', ['true']);
  await world.remove('warm');

  const playing = new AbortController();
  const live = async (name: string): Promise<void> => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const id = `${name}-${round}`;
      await world.run(id, ['sh', '-c', 'exit 3']);
      assert.equal((await world.tasks.wait({ containerId: id })).exitStatus, 3);
      await world.tasks.delete({ containerId: id });
      await world.containers.delete({ id });
    }
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
  const p99 = waits[Math.floor(waits.length * 0.99)] ?? Infinity;
  console.log(`${waits.length} answers: half within ${waits[waits.length >> 1]} ms, 99 % within ${p99} ms`);
  assert.ok(p99 < P99_MS_MAX, `99 % of the answers took up to ${p99} ms`);
  await world.assertNoLeaks();
});
