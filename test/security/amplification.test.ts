import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { codes } from '../../common/errdefs.ts';
import { TtrpcClient } from '../../common/ttrpc/client.ts';
import { ContainersDefinition } from '../../proto/gen/containerd/services/containers/v1/containers.ts';
import { VersionDefinition } from '../../proto/gen/containerd/services/version/v1/version.ts';
import { TaskDefinition } from '../../proto/gen/containerd/task/v2/task_v2.ts';
import { Side } from '../compat/sides.ts';
import { startHoldfast } from '../harness/daemon.ts';
import { exec } from '../harness/exec.ts';
import { testBed } from '../harness/temp.ts';

// Few bytes that become many objects: 16 MiB of empty messages were 3 s in which nobody was served, and 1 GB.

const bed = testBed();
/** How long each flood lasts, s. */
const FLOOD_S = 3;
/**
 * How long a small call may take meanwhile, ms: half of them, and each. A flood of 15 MiB requests keeps a core busy
 * whatever is done with their bytes; what must not be is that one of them is a turn of seconds.
 */
const CALL_MS_MEDIAN_MAX = 200;
const CALL_MS_MAX = 1_500;
/** What a process may hold at its worst beyond what it held before, bytes: 4 requests, each twice while it comes in. */
const GROWTH_BYTES_MAX = 400 << 20;

let side: Side;
before(async () => {
  side = new Side(bed, await startHoldfast(bed));
});

interface Seen {
  /** Outcome, such as `Create 8`, → how often. */
  readonly answers: Readonly<Record<string, number>>;
  readonly callsMs: readonly number[];
  readonly growthBytes: number;
}

/** Floods a socket while somebody else makes small calls, one after another; looks at the process that is flooded. */
const flood = async (protocol: string, socket: string, pid: number, call: () => Promise<unknown>): Promise<Seen> => {
  await call();
  writeFileSync(`/proc/${pid}/clear_refs`, '5'); // forgets the peak
  const before = peakBytes(pid);
  const program = join(import.meta.dirname, 'flood.ts');
  const over = new AbortController();
  const attack = exec(process.execPath, ['--no-warnings', program, protocol, socket, String(FLOOD_S)]).finally(() =>
    over.abort(),
  );
  const callsMs: number[] = [];
  while (!over.signal.aborted) {
    const began = performance.now();
    await call();
    callsMs.push(performance.now() - began);
    await sleep(5);
  }
  const { stdout, stderr, status } = await attack;
  assert.equal(status, 0, stderr);
  return { answers: JSON.parse(stdout) as Seen['answers'], callsMs, growthBytes: peakBytes(pid) - before };
};

/** The most memory that a process has had, bytes. */
const peakBytes = (pid: number): number =>
  Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) << 10;

const assertServed = ({ callsMs, growthBytes }: Seen): void => {
  const sorted = callsMs.toSorted((a, b) => a - b);
  const [median = Infinity, worst = Infinity] = [sorted[sorted.length >> 1], sorted.at(-1)];
  const seen = `${sorted.length} calls, median ${Math.round(median)} ms, worst ${Math.round(worst)} ms, grown ${growthBytes >> 20} MiB`;
  console.log(seen);
  assert.ok(median < CALL_MS_MEDIAN_MAX && worst < CALL_MS_MAX && growthBytes < GROWTH_BYTES_MAX, seen);
};

test('requests of nothing but fields neither stop the daemon nor fill it; others are served', async () => {
  const client = side.daemon.client();
  const call = () => client.service(VersionDefinition).version({});
  const seen = await flood('grpc', side.daemon.address, side.daemon.pid, call);
  client.close();
  for (const answer of Object.keys(seen.answers)) assert.match(answer, new RegExp(` ${codes.resourceExhausted}$`));
  assertServed(seen);
});

test('a shim that is sent nothing but fields serves its daemon meanwhile', async () => {
  await side.start('a');
  const bundle = join(side.daemon.state, 'io.containerd.runtime.v2.task', side.daemon.namespace, 'a');
  const socket = readFileSync(join(bundle, 'address'), 'utf8').replace(/^unix:\/\//, '');
  const client = await TtrpcClient.connect(socket, { timeoutMs: 5_000 });
  const connect = () => client.call(TaskDefinition, 'connect', { id: 'a' });
  const { shimPid } = await connect();
  const seen = await flood('ttrpc', socket, shimPid, connect);
  client.close();
  assert.deepEqual(Object.keys(seen.answers).toSorted(), [
    `Create ${codes.resourceExhausted}`,
    `Forward ${codes.unimplemented}`,
    `Update ${codes.resourceExhausted}`,
  ]);
  assertServed(seen);
});

test('the daemon’s socket for events is sent nothing but fields, and its clients are served meanwhile', async () => {
  const client = side.daemon.client();
  const call = () => client.service(VersionDefinition).version({});
  const seen = await flood('ttrpc', `${side.daemon.address}.ttrpc`, side.daemon.pid, call);
  client.close();
  assert.ok((seen.answers[`Forward ${codes.resourceExhausted}`] ?? 0) > 0);
  assertServed(seen);
});

test('a container with 10,000 labels and a Spec of 2 MB is made, found and removed', async () => {
  const client = side.daemon.client();
  const containers = client.service(ContainersDefinition);
  const labels = new Map(Array.from({ length: 10_000 }, (_, index) => [`key-${index}`, `value-${index}`]));
  const spec = { typeUrl: 'x', value: Buffer.alloc(2 << 20, 'x') };
  await containers.create({ container: { ...EMPTY, id: 'large', labels, spec } });
  const { container } = await containers.get({ id: 'large' });
  assert.deepEqual([container?.labels, container?.spec], [labels, spec]);
  await containers.delete({ id: 'large' });
  client.close();
});

const EMPTY = {
  runtime: { name: 'io.containerd.runc.v2', options: undefined },
  image: '',
  snapshotter: '',
  snapshotKey: '',
  createdAt: undefined,
  updatedAt: undefined,
  extensions: new Map(),
  sandbox: '',
};
