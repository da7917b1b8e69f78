import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { Side } from '../compat/sides.ts';
import { startHoldfast } from '../harness/daemon.ts';
import { Session } from '../harness/session.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';

// What ctr sees of the collection: images, content, snapshots and leases, in a daemon of their own.

const bed = testBed();
let side: Side;
before(async () => {
  side = new Side(bed, await startHoldfast(bed));
});

const digestOf = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;

const fileOf = (digest: string): string =>
  join(side.daemon.root, 'io.containerd.content.v1.content/blobs', digest.replace(':', '/'));

/** `ctr content ingest`: gives the digest. */
const ingest = async (text: string, labels: Record<string, string> = {}): Promise<string> => {
  const digest = digestOf(text);
  const run = side.ctr.attach(['content', 'ingest', '--expected-digest', digest, `ref-${digest}`]);
  run.write(text);
  run.closeStdin();
  const { status, stderr } = await run.end();
  assert.equal(status, 0, stderr);
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  if (pairs.length > 0) await side.ctr.ok('content', 'label', digest, ...pairs);
  return digest;
};

const listed = async (): Promise<string[]> =>
  (await side.ctr.ok('content', 'ls', '-q')).split('\n').filter(Boolean).sort();

test('a blob that nothing refers to goes with the next collection; what a root label, a reference or a lease keeps stays', async () => {
  const layer = await ingest('layer');
  const root = await ingest('manifest', { 'containerd.io/gc.root': 'yes', 'containerd.io/gc.ref.content.0': layer });
  const stray = await ingest('stray');
  assert.deepEqual(await listed(), [layer, root, stray].sort());
  await side.ctr.ok('leases', 'create', '--id', 'l');
  await side.ctr.ok('leases', 'rm', '--sync', 'l');
  assert.deepEqual(await listed(), [layer, root].sort());
  assert.deepEqual(
    [layer, root, stray].map((digest) => existsSync(fileOf(digest))),
    [true, true, false],
  );
  await side.ctr.ok('content', 'label', root, 'containerd.io/gc.root=');
  await side.ctr.ok('leases', 'create', '--id', 'l');
  await side.ctr.ok('leases', 'rm', '--sync', 'l');
  assert.deepEqual(await listed(), []);
});

test('snapshots are kept by children, containers and labels, and go with their directories', async () => {
  const { ctr } = side;
  await ctr.ok('snapshots', 'prepare', 'base-active');
  await ctr.ok('snapshots', 'commit', 'base', 'base-active');
  await ctr.ok('snapshots', 'prepare', 'used', 'base');
  await ctr.ok('snapshots', 'prepare', 'unused', 'base');
  await ctr.ok('containers', 'create', '--rootfs', side.rootfs, 'c', '/bin/true');
  // ctr gives what it prepares and commits a root label of its own.
  for (const name of ['base', 'unused']) await ctr.ok('snapshots', 'label', name, 'containerd.io/gc.root=');
  await ctr.ok('leases', 'create', '--id', 'l');
  await ctr.ok('leases', 'rm', '--sync', 'l');
  const names = (await ctr.ok('snapshots', 'ls'))
    .split('\n')
    .slice(1)
    .map((line) => line.split(/\s+/)[0] ?? '')
    .filter((name) => name !== '');
  assert.deepEqual(names.sort(), ['base', 'used']);
  await ctr.ok('snapshots', 'rm', 'used');
  await ctr.ok('leases', 'create', '--id', 'l');
  await ctr.ok('leases', 'rm', '--sync', 'l');
  assert.equal((await ctr.ok('snapshots', 'ls')).trim().split('\n').length, 1, 'but the heading');
  await ctr.ok('containers', 'rm', 'c');
});

test('what was left unreferenced is collected soon after a start', async () => {
  const stray = await ingest('left by an earlier daemon');
  await side.daemon.kill9();
  await side.daemon.start();
  await eventually(async () => (await listed()).length === 0, { what: 'the collection at the start' });
  await eventually(() => !existsSync(fileOf(stray)), { what: 'its file to go' });
});

test('an ingest that is under way is not collected, and its blob is not either while a lease holds it', async () => {
  const run = new Session(side.ctr.command('content', 'ingest', 'slow'));
  run.write('the first half, ');
  await eventually(async () => (await side.ctr.ok('content', 'active')).includes('slow'), { what: 'the ingest' });
  await side.ctr.ok('leases', 'create', '--id', 'l');
  await side.ctr.ok('leases', 'rm', '--sync', 'l');
  run.write('and the second');
  run.closeStdin();
  assert.equal((await run.end()).status, 0);
});
