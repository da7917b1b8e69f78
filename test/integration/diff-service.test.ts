import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setImmediate as immediate, setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { codes } from '../../common/errdefs.ts';
import { mount, mountFlags, unmount } from '../../native/index.ts';
import type { Mount } from '../../proto/gen/containerd/types/types.ts';
import { VersionDefinition } from '../../proto/gen/containerd/services/version/v1/version.ts';
import { must } from '../harness/exec.ts';
import { RawClient } from '../harness/grpc.ts';
import { type Member, tarOf } from '../harness/layers.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { apply, describe, sha256 } from './diff-harness.ts';
import { bind, type DiffServer, FileContent, GZIP, overlay, startDiffServer, TAR } from './diff-server.ts';

const bed = testBed();
const content = new FileContent(bed.folder('content'));
let server: DiffServer;

before(async () => {
  server = await startDiffServer(bed, content);
  bed.defer(() => server.close());
});

let folders = 0;
const fresh = (): string => bed.folder(`d${(folders += 1)}`);

const put = (...members: readonly Member[]) => content.put(tarOf(...members), TAR);

const mountsLeft = (): string[] => readdirSync(join(server.config.state, 'mounts'));

/** Does something in a mounted set of mounts, as a container would. */
const inside = async (mounts: readonly Mount[], script: string): Promise<void> => {
  const root = fresh();
  for (const { type, source, options } of mounts) {
    const isBind = type === 'bind';
    await mount({
      source,
      target: root,
      type,
      flags: isBind ? mountFlags.bind : 0,
      data: isBind ? '' : options.join(','),
    });
  }
  try {
    await must('sh', ['-ec', script], { cwd: root });
  } finally {
    await unmount(root);
  }
};

/** What a set of mounts shows. */
const shown = async (mounts: readonly Mount[]): Promise<Record<string, string>> => {
  const copy = fresh();
  await inside(mounts, `cp -a . ${copy}`);
  return describe(copy);
};

interface Layers {
  readonly lower: string;
  readonly upper: string;
  readonly work: string;
  readonly view: Mount[];
  readonly active: Mount[];
}

const layers = async (script: string): Promise<Layers> => {
  const [lower, upper, work] = [fresh(), fresh(), fresh()];
  await must('sh', ['-ec', script], { cwd: lower });
  return { lower, upper, work, view: bind(lower, 'ro'), active: overlay([lower], { upper, work }) };
};

test('a layer is unpacked onto a bind mount, and told by its diff ID and size', async () => {
  const root = fresh();
  const layer = tarOf({ name: 'a/b', data: 'text', uid: 12, mode: 0o4755 });
  const gzipped = await must('sh', ['-c', 'gzip -c | base64'], { input: layer });
  const diff = content.put(Buffer.from(gzipped, 'base64'), GZIP);
  const { applied } = await server.diff.apply({ diff, mounts: bind(root, 'rw') });
  assert.deepEqual(applied, {
    mediaType: TAR,
    digest: sha256(layer),
    size: BigInt(layer.length),
    annotations: new Map(),
  });
  assert.equal(readFileSync(join(root, 'a/b'), 'utf8'), 'text');
  assert.deepEqual(mountsLeft(), []);
});

// Each on a directory that holds the layer below as a copy, and on an overlay: the same tree must come out.
const BELOW = 'mkdir -p d/e keep; echo 1 >d/e/f; echo 2 >d/g; echo 3 >keep/h; chmod 750 d; chown 5:6 d; ln -s d s';
const cases: Readonly<Record<string, readonly Member[]>> = {
  'a file is replaced and another added': [
    { name: 'd/g', data: 'new' },
    { name: 'd/e/new', data: 'x' },
  ],
  'a whiteout hides a file': [{ name: 'd/.wh.g' }],
  'a whiteout hides a directory': [{ name: '.wh.d' }],
  'a directory is hidden and made anew': [{ name: '.wh.d' }, { name: 'd', type: '5' }, { name: 'd/only', data: 'x' }],
  'a directory is made anew, and hidden after that': [
    { name: 'd', type: '5' },
    { name: 'd/only', data: 'x' },
    { name: '.wh.d' },
  ],
  'an opaque directory hides all below, before or after what is new': [
    { name: 'd', type: '5' },
    { name: 'd/early', data: 'x' },
    { name: 'd/.wh..wh..opq' },
    { name: 'd/late', data: 'y' },
  ],
  'an opaque directory in one that stays': [{ name: 'd/e/.wh..wh..opq' }, { name: 'd/e/n', data: 'x' }],
  'an opaque root hides everything': [{ name: '.wh..wh..opq' }, { name: 'd', type: '5' }, { name: 'd/new', data: 'x' }],
  'a directory becomes a file and a file a directory': [
    { name: 'd', data: 'file' },
    { name: 'keep/h', type: '5' },
    { name: 'keep/h/i', data: 'x' },
  ],
  'a file and its whiteout in one layer: the file stays': [{ name: 'd/g', data: 'new' }, { name: 'd/.wh.g' }],
};

/** Directories get the time of what is put into them, which differs from run to run. */
const withoutDirectoryTimes = (tree: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(tree).map(([path, line]) => [
      path,
      line.replace(/^(4\d{4} \S+) \d+/, '$1').replace(/ trusted\.overlay\.opaque=\S+/, ''),
    ]),
  );

for (const [name, members] of Object.entries(cases)) {
  test(`${name}: the same on an overlay as on a directory`, async () => {
    const { lower, active } = await layers(BELOW);
    const copy = fresh();
    await must('cp', ['-a', `${lower}/.`, copy]);
    const diff = put(...members);
    await server.diff.apply({ diff, mounts: bind(copy) });
    await server.diff.apply({ diff, mounts: active });
    assert.deepEqual(withoutDirectoryTimes(await shown(active)), withoutDirectoryTimes(describe(copy)));
    assert.deepEqual(mountsLeft(), []);
  });
}

test('a directory that a layer needs and does not bring looks like the one below it', async () => {
  const { active, upper } = await layers(`${BELOW}; touch -d @1234.5 d`);
  await server.diff.apply({ diff: put({ name: 'd/e/new' }), mounts: active });
  const { mode, uid, gid } = statSync(join(upper, 'd'));
  assert.deepEqual([mode & 0o7777, uid, gid], [0o750, 5, 6]);
});

const CHANGES: Readonly<Record<string, string>> = {
  'files are changed, added and removed': 'echo changed >d/g; echo new >n; rm keep/h; chmod 600 d/e/f',
  'a directory is removed and made anew': 'rm -r d; mkdir d; echo x >d/only',
  'a tree is added':
    'mkdir -p x/y/z; echo 1 >x/y/z/f; ln x/y/z/f x/hard; ln -s f x/y/z/sym; mkfifo x/p; mknod x/c c 1 3',
  'only attributes are changed': 'chmod 711 keep; chown 7:8 d/g; touch -d @99 d/e',
  'nothing is changed': ':',
};

for (const [name, script] of Object.entries(CHANGES)) {
  test(`${name}: the layer of an overlay makes the same tree again`, async () => {
    const it = await layers(BELOW);
    await inside(it.active, script);
    const { diff } = await server.diff.diff({ left: it.view, right: it.active });
    assert.equal(diff?.mediaType, GZIP);
    const blob = readFileSync(content.path(diff?.digest ?? ''));
    assert.equal(Number(diff?.size), blob.length);
    assert.equal(content.labels.get(diff?.digest ?? '')?.get('containerd.io/uncompressed'), sha256(gunzipSync(blob)));
    const copy = fresh();
    await must('cp', ['-a', `${it.lower}/.`, copy]);
    await apply(blob, copy);
    assert.deepEqual(describe(copy), await shown(it.active));
    const again = await server.diff.diff({ left: it.view, right: it.active });
    assert.deepEqual(again, { diff });
    assert.deepEqual(mountsLeft(), []);
  });
}

test('a directory made anew is told by an opaque marker, not by what it no longer holds', async () => {
  const it = await layers(BELOW);
  await inside(it.active, 'rm -r d; mkdir d; echo x >d/only');
  const { diff } = await server.diff.diff({ left: it.view, right: it.active, mediaType: TAR });
  const listed = await must('tar', ['-tf', content.path(diff?.digest ?? '')]);
  assert.deepEqual(listed.trim().split('\n'), ['d/', 'd/.wh..wh..opq', 'd/only']);
});

test('without a left side, and where the sides are no overlay and its base, both trees are walked', async () => {
  const it = await layers(BELOW);
  await inside(it.active, 'rm d/g; echo n >n');
  for (const [left, right] of [
    [[], it.active],
    [bind(fresh()), it.active],
    [it.active, it.view],
  ] as const) {
    const { diff } = await server.diff.diff({ left: [...left], right: [...right] });
    const root = fresh();
    if (left.length > 0) await inside(left, `cp -a . ${root}`);
    await apply(readFileSync(content.path(diff?.digest ?? '')), root);
    assert.deepEqual(describe(root), await shown(right));
  }
});

test('times after source_date_epoch become it', async () => {
  const root = fresh();
  await must('sh', ['-ec', 'touch -d @1000 old; touch -d @5000 new'], { cwd: root });
  const sourceDateEpoch = { seconds: 2000n, nanos: 5 };
  const { diff } = await server.diff.diff({ left: [], right: bind(root), mediaType: TAR, sourceDateEpoch });
  const target = fresh();
  await apply(readFileSync(content.path(diff?.digest ?? '')), target);
  const times = ['old', 'new'].map((name) => statSync(join(target, name), { bigint: true }).mtimeNs);
  assert.deepEqual(times, [1_000_000_000_000n, 2_000_000_000_005n]);
});

test('labels of the request come with the blob, and zstd and plain layers can be asked for', async () => {
  const root = fresh();
  writeFileSync(join(root, 'f'), 'x');
  for (const mediaType of [TAR, `${TAR}+zstd`]) {
    const { diff } = await server.diff.diff({ left: [], right: bind(root), mediaType, labels: new Map([['a', 'b']]) });
    assert.equal(diff?.mediaType, mediaType);
    assert.equal(content.labels.get(diff?.digest ?? '')?.get('a'), 'b');
  }
});

test('a failed comparison leaves no ingest and no mount', async () => {
  const root = fresh();
  writeFileSync(join(root, '.wh.x'), '');
  await assert.rejects(server.diff.diff({ left: [], right: bind(root), ref: 'mine' }), {
    code: codes.failedPrecondition,
    details: /: \.wh\.x: a layer cannot hold a name that begins with \.wh\.: failed precondition$/,
  });
  assert.ok(content.aborted.includes('mine'));
  assert.deepEqual(mountsLeft(), []);
});

test('what a killed daemon left mounted is unmounted at the next start, and nothing in it is touched', async () => {
  const source = fresh();
  writeFileSync(join(source, 'precious'), 'x');
  const left = bed.folder('crashed/state/mounts/mount-old');
  await mount({ source, target: left, type: '', flags: mountFlags.bind, data: '' });
  await mount({ source, target: left, type: '', flags: mountFlags.bind, data: '' });
  const next = await startDiffServer(bed, content, 'crashed');
  await next.close();
  assert.equal(existsSync(left), false);
  assert.ok(existsSync(join(source, 'precious')));
});

test('mounts that do not work are an error that says so, and leave nothing', async () => {
  const mounts = bind(bed.path('absent'));
  await assert.rejects(server.diff.apply({ diff: put({ name: 'x' }), mounts }), {
    code: codes.unknown,
    details: /^failed to mount .*: no such file or directory$/,
  });
  assert.deepEqual(mountsLeft(), []);
});

test('an overlay of so many layers that their names fill no page is mounted', async () => {
  const parent = fresh();
  const lower = Array.from({ length: 120 }, (_, index) => {
    const path = join(parent, `layer-with-a-long-name-${index}`);
    mkdirSync(path);
    writeFileSync(join(path, `f${index}`), String(index));
    return path;
  });
  const { diff } = await server.diff.diff({ left: [], right: overlay(lower), mediaType: TAR });
  const listed = await must('tar', ['-tf', content.path(diff?.digest ?? '')]);
  assert.equal(listed.trim().split('\n').length, 120);
});

test('a client that gives up ends the work, and its mounts', async () => {
  const big = fresh();
  for (let index = 0; index < 30; index += 1) truncateSync(touch(join(big, `f${index}`)), 64 << 20);
  const call = server.diff.diff({ left: [], right: bind(big) }, { timeoutMs: 300 });
  await assert.rejects(call, { code: codes.deadlineExceeded });
  await eventually(() => mountsLeft().length === 0, { what: 'its mounts to go' });
});

const touch = (path: string): string => {
  writeFileSync(path, '');
  return path;
};

test('other calls are answered while a large layer is unpacked', { timeout: 300_000 }, async (t) => {
  const long = process.env['HOLDFAST_TEST_LONG'] === '1';
  const data = randomBytes(33_000);
  const members = Array.from({ length: long ? 9000 : 1500 }, (_, index) => ({ name: `d/f${index}`, data }));
  const diff = content.put(gzipSync(tarOf(...members), { level: 1 }), GZIP);
  // On the same machine at the same time, what the calls take if there is nothing else to do.
  const idle = await versionTimes(sleep(3_000));
  const applying = server.diff.apply({ diff, mounts: bind(fresh()) }, { timeoutMs: 280_000 });
  const turns = turnTimes(applying);
  const busy = await versionTimes(applying);
  await applying;
  const turnP99 = await turns;
  t.diagnostic(
    `ms: idle p99 ${idle.p99.toFixed(1)}, busy p99 ${busy.p99.toFixed(1)} of ${busy.count} calls, a turn's p99 ${turnP99.toFixed(1)} of CPU`,
  );
  // In CPU time of this thread, which other load does not change: the loop's, the client's and the collector's.
  assert.ok(turnP99 < 20, `a turn of the loop took ${turnP99.toFixed(1)} ms of CPU`);
  assert.ok(busy.count > 20, `only ${busy.count} calls`);
  // Beside other load the idle daemon's own delays count as the machine's.
  const allowed = Math.max(20, (long ? 2 : 10) * idle.p99);
  assert.ok(busy.p99 < allowed, `p99 of Version is ${busy.p99.toFixed(1)} ms, idle ${idle.p99.toFixed(1)} ms`);
});

/** CPU time, milliseconds, that 99 of 100 turns of the main loop do not exceed, until `end` is settled. */
const turnTimes = async (end: Promise<unknown>): Promise<number> => {
  const ended = new AbortController();
  const stop = (): void => ended.abort();
  end.then(stop, stop);
  const cpu = (): number => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  };
  const times: number[] = [];
  for (let before = cpu(); !ended.signal.aborted;) {
    await immediate();
    const now = cpu();
    times.push(now - before);
    before = now;
  }
  return percentile99(times);
};

const percentile99 = (times: readonly number[]): number =>
  times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Infinity;

/** How long one call of Version after the other takes until `end` is settled. */
const versionTimes = async (end: Promise<unknown>): Promise<{ readonly p99: number; readonly count: number }> => {
  // A client of its own, so that the calls do not wait for each other in one connection.
  const client = new RawClient(server.address, 'test');
  const times: number[] = [];
  const ended = new AbortController();
  const stop = (): void => ended.abort();
  end.then(stop, stop);
  while (!ended.signal.aborted) {
    const began = performance.now();
    await client.service(VersionDefinition).version({});
    times.push(performance.now() - began);
  }
  client.close();
  return { p99: percentile99(times), count: times.length };
};
