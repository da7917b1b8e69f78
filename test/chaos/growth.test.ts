import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { VersionDefinition } from '../../proto/gen/containerd/services/version/v1/version.ts';
import { Side } from '../compat/sides.ts';
import { startHoldfast } from '../harness/daemon.ts';
import { findTaskFiles } from '../harness/leaks.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { zygotesOf } from '../harness/zygotes.ts';

// What containers that come and go, and calls, leave in the daemon and its zygote: nothing.

const bed = testBed();
const long = process.env['HOLDFAST_TEST_LONG'] === '1';
const RUNS = long ? 1_000 : 60;
const CALLS = long ? 200_000 : 20_000;
const AT_ONCE = 16;
/** The most that the daemon may hold after all of them, bytes. */
const DAEMON_BYTES_MAX = 110 << 20;
const DAEMON_BYTES_MAX_CALLS = 130 << 20;
/**
 * How much more the daemon or its zygote may hold after the second half of the runs than after the first, bytes. In the
 * first hundreds the heap still grows to its working size.
 */
const GROWTH_BYTES_MAX = (long ? 8 : 16) << 20;
/** What a connection to the metadata that was closed for a checkpoint may leave to the next (descriptors.test.ts). */
const SPARE_FILES = 1;

let side: Side;
before(async () => {
  side = new Side(bed, await startHoldfast(bed));
});

test(`${RUNS} containers that come and go leave neither memory, descriptors nor processes behind`, async () => {
  const { pid, state } = side.daemon;
  const run = async (from: number, to: number): Promise<void> => {
    for (let round = from; round < to; round += 1) {
      const { status, stderr } = await side.run(['--rm'], `r${round}`, ['/bin/true']);
      assert.equal(status, 0, stderr);
    }
  };
  await run(0, RUNS / 2);
  const half = await quiet();
  await run(RUNS / 2, RUNS);
  const whole = await eventually(
    async () => {
      const now = await quiet();
      const same = now.files <= half.files + SPARE_FILES && now.zygoteFiles <= half.zygoteFiles;
      return same && now.children <= half.children && findTaskFiles(state).length === 0 ? now : undefined;
    },
    { what: `no more descriptors and processes than ${JSON.stringify(half)}` },
  );
  const said = JSON.stringify({ half, whole });
  console.log(said);
  assert.equal(side.daemon.pid, pid);
  assert.ok(whole.bytes <= DAEMON_BYTES_MAX, said);
  assert.ok(whole.bytes - half.bytes <= GROWTH_BYTES_MAX, said);
  assert.ok(whole.zygoteBytes - half.zygoteBytes <= GROWTH_BYTES_MAX, said);
});

test(`${CALLS} small calls leave nothing behind`, async () => {
  const client = side.daemon.client();
  const version = client.service(VersionDefinition);
  let left = CALLS;
  const caller = async (): Promise<void> => {
    while ((left -= 1) >= 0) await version.version({});
  };
  const before = filesOf(side.daemon.pid);
  await Promise.all(Array.from({ length: AT_ONCE }, caller));
  client.close();
  const bytes = bytesOf(side.daemon.pid);
  console.log(`${bytes >> 20} MiB after ${CALLS} calls`);
  assert.ok(bytes <= DAEMON_BYTES_MAX_CALLS, `${bytes} bytes`);
  await eventually(() => filesOf(side.daemon.pid) <= before + SPARE_FILES, { what: 'no more descriptors than before' });
});

interface Held {
  readonly bytes: number;
  readonly files: number;
  readonly zygoteBytes: number;
  readonly zygoteFiles: number;
  /** Processes that the daemon or its zygote is the parent of. */
  readonly children: number;
}

/** What the two hold when no container is left, and the zygote is there that the next one would come from. */
const quiet = (): Promise<Held> =>
  eventually(() => {
    const { pid } = side.daemon;
    const [zygote, another] = zygotesOf(pid);
    if (zygote === undefined || another !== undefined) return undefined;
    const children = [...childrenOf(pid), ...childrenOf(zygote)].length;
    return {
      bytes: bytesOf(pid),
      files: filesOf(pid),
      zygoteBytes: bytesOf(zygote),
      zygoteFiles: filesOf(zygote),
      children,
    };
  });

const bytesOf = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) << 10;
const filesOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;
const childrenOf = (pid: number): string[] =>
  readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')
      .split(' ')
      .filter((child) => child !== ''),
  );
