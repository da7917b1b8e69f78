import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { DiffDefinition } from '../../proto/gen/containerd/services/diff/v1/diff.ts';
import { type Daemon, startHoldfast } from '../harness/daemon.ts';
import { type Member, tarOf } from '../harness/layers.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { sha256 } from './diff-harness.ts';
import { GZIP, overlay } from './diff-server.ts';

// The daemon as it is built, with its own content and snapshots, and ctr.

const bed = testBed();
let daemon: Daemon;

before(async () => {
  daemon = await startHoldfast(bed);
});

/** An image of layers, as `docker save` and `ctr image export` write them. */
const imageOf = (name: string, ...layers: readonly Buffer[]): Buffer => {
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const descriptor = (mediaType: string, bytes: Buffer) => ({ mediaType, digest: sha256(bytes), size: bytes.length });
  const blob = (bytes: Buffer): Member => ({ name: `blobs/sha256/${sha256(bytes).slice(7)}`, data: bytes });
  const zipped = layers.map((layer) => gzipSync(layer));
  const config = json({
    architecture: 'amd64',
    os: 'linux',
    config: { Cmd: ['/bin/cat', '/greeting'] },
    rootfs: { type: 'layers', diff_ids: layers.map(sha256) },
  });
  const manifest = json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: zipped.map((bytes) => descriptor(GZIP, bytes)),
  });
  const index = json({
    schemaVersion: 2,
    manifests: [
      {
        ...descriptor('application/vnd.oci.image.manifest.v1+json', manifest),
        annotations: { 'io.containerd.image.name': name },
        platform: { architecture: 'amd64', os: 'linux' },
      },
    ],
  });
  const layout = { name: 'oci-layout', data: json({ imageLayoutVersion: '1.0.0' }) };
  return tarOf(layout, { name: 'index.json', data: index }, ...[config, manifest, ...zipped].map(blob));
};

const BASE = tarOf(
  { name: 'bin/busybox', data: readFileSync('/bin/busybox'), mode: 0o755 },
  { name: 'bin/cat', type: '2', link: 'busybox' },
  { name: 'bin/sh', type: '2', link: 'busybox' },
  { name: 'greeting', data: 'from below\n' },
  { name: 'gone', data: 'x' },
);
const ABOVE = tarOf({ name: 'greeting', data: 'from above\n' }, { name: '.wh.gone' });

const chainOf = ([first, ...rest]: readonly Buffer[]): string =>
  rest.reduce((chain, layer) => sha256(Buffer.from(`${chain} ${sha256(layer)}`)), sha256(first ?? Buffer.alloc(0)));

test('an image is imported, unpacked and run, and what its container changed is told as a layer', async () => {
  const { ctr } = daemon;
  const name = 'example.com/greeting:1';
  const file = bed.path('image.tar');
  writeFileSync(file, imageOf(name, BASE, ABOVE));
  await ctr.ok('images', 'import', '--platform', 'linux/amd64', file);
  assert.equal(await ctr.ok('run', '--rm', name, 'one'), 'from above\n');
  const chain = chainOf([BASE, ABOVE]);
  await ctr.ok('snapshots', 'prepare', 'changed', chain);
  await ctr.ok('run', '--rm', name, 'two', '/bin/sh', '-c', 'test ! -e /gone');
  const diff = await ctr.run(['snapshots', 'diff', '--keep', 'changed', chain]);
  assert.equal(diff.status, 0, diff.stderr);
  await ctr.ok('snapshots', 'rm', 'changed');
});

test('a daemon that is killed while it unpacks leaves no mount behind once it is back', async () => {
  const data = randomBytes(1 << 20);
  const layer = gzipSync(tarOf(...Array.from({ length: 100 }, (_, index) => ({ name: `f${index}`, data }))), {
    level: 1,
  });
  const digest = sha256(layer);
  const { status, stderr } = await daemon.ctr.run(['content', 'ingest', 'large'], { input: layer });
  assert.equal(status, 0, stderr);
  await daemon.ctr.ok('content', 'label', digest, 'containerd.io/gc.root=now'); // or it is collected at the start
  const client = daemon.client();
  const target = bed.folder('target');
  const mounts = [{ type: 'bind', source: target, target: '', options: ['rbind', 'rw'] }];
  const diff = { mediaType: GZIP, digest, size: BigInt(layer.length), annotations: new Map<string, string>() };
  const applying = client.service(DiffDefinition).apply({ diff, mounts });
  applying.catch(() => undefined); // the daemon will be gone
  await eventually(() => readdirSync(target).length > 3, { what: 'the first files' });
  await daemon.kill9();
  client.close();
  assert.equal(readdirSync(join(daemon.state, 'mounts')).length, 1);
  await daemon.start();
  assert.deepEqual(readdirSync(join(daemon.state, 'mounts')), []);
  assert.ok(readdirSync(target).length > 3, 'what was mounted is not touched');

  const again = daemon.client();
  const [upper, work, lower] = [bed.folder('upper'), bed.folder('work'), bed.folder('lower')];
  const { applied } = await again
    .service(DiffDefinition)
    .apply({ diff, mounts: overlay([lower], { upper, work }), syncFs: true });
  assert.equal(readdirSync(upper).length, 100);
  assert.equal(applied?.mediaType, 'application/vnd.oci.image.layer.v1.tar');
  again.close();
});
