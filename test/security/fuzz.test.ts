import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { TtrpcClient } from '../../common/ttrpc/client.ts';
import { VersionDefinition } from '../../proto/gen/containerd/services/version/v1/version.ts';
import { TaskDefinition } from '../../proto/gen/containerd/task/v2/task_v2.ts';
import { Random, seedOfRun } from '../chaos/random.ts';
import { Side } from '../compat/sides.ts';
import { startHoldfast } from '../harness/daemon.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { grpcMessages, http2Frames, SESSION_FRAMES, ttrpcFrames } from './fuzz-sessions.ts';

// Peers that say anything at all to the daemon's two sockets and to a shim's.

const bed = testBed();
const FRAMES = process.env['HOLDFAST_TEST_LONG'] === '1' ? 1_000_000 : 5_000;
/** Connections at the same time. */
const AT_ONCE = 4;
/** How long a call of a well-behaved client may take meanwhile, ms. */
const CALL_MS_MAX = 5_000;
/**
 * What a process may hold more after it than after the first part of it, when the heap has grown to its working size,
 * bytes. A kilobyte for each of the long form's connections would be 20 MB.
 */
const GROWTH_BYTES_MAX = 24 << 20;
/** The part after which is compared. */
const WARM_UP = 0.4;

let side: Side;
let shim: { readonly socket: string; readonly pid: number };
before(async () => {
  // A zygote is made when it is quiet, and its sockets would come and go in what is counted.
  side = new Side(bed, await startHoldfast(bed, { config: '[tasks]\nzygote = false\n' }));
  await side.start('steady');
  const bundle = join(side.daemon.state, 'io.containerd.runtime.v2.task', side.daemon.namespace, 'steady');
  const socket = readFileSync(join(bundle, 'address'), 'utf8').replace(/^unix:\/\//, '');
  shim = { socket, pid: parentOf(await side.pid('steady')) };
});

const parentOf = (pid: number): number =>
  Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

test(`${FRAMES} frames and messages of any content harm neither daemon nor shim, and others are served`, async () => {
  const { daemon } = side;
  const random = new Random(seedOfRun());
  const [pid, container] = [daemon.pid, await side.pid('steady')];
  const sessions = [
    () => grpcMessages(daemon.address, random),
    () => http2Frames(daemon.address, random),
    () => ttrpcFrames(`${daemon.address}.ttrpc`, random),
    () => ttrpcFrames(shim.socket, random),
  ];
  const fuzz = async (frames: number): Promise<void> => {
    let left = Math.ceil(frames / SESSION_FRAMES);
    const worker = async (): Promise<void> => {
      while (left > 0) await sessions[(left -= 1) % sessions.length]?.();
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  };

  const client = await wellBehaved();
  await fuzz(FRAMES * WARM_UP);
  const early = await settled();
  await fuzz(FRAMES * (1 - WARM_UP));
  const late = await settled(early);
  await client.stop();

  assert.equal(daemon.pid, pid, 'the daemon is the same');
  assert.equal(await side.pid('steady'), container, 'the container runs');
  assert.equal(parentOf(container), shim.pid, 'its shim is the same');
  for (const [index, name] of (['daemon', 'shim'] as const).entries()) {
    const [before, after] = [early[index], late[index]];
    if (before === undefined || after === undefined) throw new Error('two processes expected');
    const said = `${name}: ${before.bytes >> 20} MiB, then ${after.bytes >> 20} MiB; ${before.files.length} descriptors, then ${after.files.length}`;
    console.log(said);
    assert.ok(after.bytes - before.bytes < GROWTH_BYTES_MAX, said);
  }
});

interface Held {
  readonly bytes: number;
  readonly files: readonly string[];
}

/** What the daemon and the shim hold, once no connection is left and no more descriptors are open than `before`. */
const settled = async (before?: readonly Held[]): Promise<Held[]> => {
  const now = (): Held[] => [side.daemon.pid, shim.pid].map(held);
  if (before !== undefined) {
    await eventually(
      () => now().every(({ files }, index) => files.length <= (before[index]?.files.length ?? 0) + SPARE),
      { what: `no more descriptors than ${JSON.stringify(before.map(({ files }) => files.length))}` },
    );
  }
  await sleep(SETTLE_MS);
  return now();
};
/** A shim that has nothing to do collects its garbage after some seconds. */
const SETTLE_MS = 1_000;
/** A connection to the metadata that is closed for a checkpoint may leave its descriptor to the next (descriptors.test.ts). */
const SPARE = 1;

const held = (pid: number): Held => ({
  bytes: Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) << 10,
  files: readdirSync(`/proc/${pid}/fd`),
});

interface WellBehaved {
  /** Fails if a call was not answered in time. */
  stop(): Promise<void>;
}

/** Asks the daemon and the shim something, again and again. */
const wellBehaved = async (): Promise<WellBehaved> => {
  const over = new AbortController();
  const client = side.daemon.client();
  const ttrpc = await TtrpcClient.connect(shim.socket, { timeoutMs: CALL_MS_MAX });
  const ask = async (): Promise<void> => {
    let calls = 0;
    for (; !over.signal.aborted; calls += 2) {
      await client.service(VersionDefinition).version({}, { timeoutMs: CALL_MS_MAX });
      await ttrpc.call(TaskDefinition, 'connect', { id: 'steady' }, { timeoutMs: CALL_MS_MAX });
      await sleep(5);
    }
    console.log(`${calls} calls of a well-behaved client were answered`);
    client.close();
    ttrpc.close();
  };
  const ended = ask();
  ended.catch(() => undefined); // looked at in the end
  return {
    stop: () => {
      over.abort();
      return ended;
    },
  };
};
