import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Side } from '../compat/sides.ts';
import { startHoldfast } from '../harness/daemon.ts';
import { must } from '../harness/exec.ts';
import { testBed } from '../harness/temp.ts';

// From an archive to a running container and back, by an unmodified ctr: content, images, snapshots, diff, leases, gc.

const bed = testBed();
const NAME = 'docker.io/library/bb:latest';
let side: Side;
let archive: string;
before(async () => {
  side = new Side(bed, await startHoldfast(bed));
  archive = await makeArchive();
});

/** An OCI archive with an image of one layer, the root file system of the tests. */
const makeArchive = async (): Promise<string> => {
  const folder = bed.folder('image');
  const blobs = join(folder, 'oci/blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const put = (mediaType: string, data: Buffer) => {
    const hex = createHash('sha256').update(data).digest('hex');
    writeFileSync(join(blobs, hex), data);
    return { mediaType, digest: `sha256:${hex}`, size: data.length };
  };
  const json = (mediaType: string, value: object) => put(mediaType, Buffer.from(JSON.stringify(value)));
  await must('tar', ['-cf', join(folder, 'layer.tar'), '-C', side.rootfs, '.']);
  const tar = readFileSync(join(folder, 'layer.tar'));
  const layer = put('application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(tar));
  const platform = { architecture: process.arch === 'x64' ? 'amd64' : process.arch, os: 'linux' };
  const config = json('application/vnd.oci.image.config.v1+json', {
    ...platform,
    config: { Env: ['PATH=/bin', 'GREETING=hello'], Cmd: ['/bin/sh', '-c', 'echo $GREETING from an image; exit 4'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${createHash('sha256').update(tar).digest('hex')}`] },
  });
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = json(mediaType, { schemaVersion: 2, mediaType, config, layers: [layer] });
  const annotations = { 'io.containerd.image.name': NAME, 'org.opencontainers.image.ref.name': 'latest' };
  const index = { schemaVersion: 2, manifests: [{ ...manifest, platform, annotations }] };
  writeFileSync(join(folder, 'oci/index.json'), JSON.stringify(index));
  writeFileSync(join(folder, 'oci/oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const path = join(folder, 'image.tar');
  await must('tar', ['-cf', path, '-C', join(folder, 'oci'), '.']);
  return path;
};

const names = async (...args: readonly string[]): Promise<string[]> =>
  (await side.ctr.ok(...args)).split('\n').filter((line) => line.trim() !== '');

test('an image is imported and unpacked, and a container of it runs as its config says, on either snapshotter', async () => {
  for (const snapshotter of ['overlayfs', 'native']) {
    await side.ctr.ok('images', 'import', '--snapshotter', snapshotter, archive);
    const run = await side.ctr.run(['run', '--rm', '--snapshotter', snapshotter, NAME, `of-${snapshotter}`]);
    assert.deepEqual([run.status, run.stdout], [4, 'hello from an image\n'], run.stderr);
  }
  assert.deepEqual(await names('images', 'ls', '-q'), [NAME]);
});

test('what a container changed is told as a layer', async () => {
  const script = 'echo new > /made; rm /bin/sleep';
  const run = await side.ctr.run(['run', NAME, 'changed', '/bin/sh', '-c', script]);
  assert.equal(run.status, 0, run.stderr);
  const layer = join(bed.folder('diff'), 'layer.tar.gz');
  await must('sh', ['-c', `${side.ctr.command('snapshots', 'diff', 'changed').join(' ')} > ${layer}`]);
  const listed = (await must('tar', ['-tzf', layer])).split('\n');
  assert.ok(listed.includes('made') && listed.includes('bin/.wh.sleep'), listed.join(' '));
  await side.ctr.ok('containers', 'rm', 'changed');
});

test('an image that is exported is imported elsewhere, the same to the byte', async () => {
  const [before] = (await names('images', 'ls')).slice(1);
  const path = join(bed.folder('export'), 'out.tar');
  await side.ctr.ok('images', 'export', path, NAME);
  const other = side.ctr.in(`${side.daemon.namespace}-2`);
  await other.ok('images', 'import', path);
  const [after] = (await other.ok('images', 'ls')).split('\n').slice(1);
  const digest = (line: string | undefined) => /sha256:[0-9a-f]{64}/.exec(line ?? '')?.[0];
  assert.ok(digest(before) !== undefined && digest(after) === digest(before), `${before} ${after}`);
  await other.ok('images', 'rm', '--sync', NAME);
  assert.equal((await other.ok('content', 'ls', '-q')).trim(), '');
});

test('with the image goes all that only it led to, from the metadata and from the disk', async () => {
  const { root } = side.daemon;
  await side.ctr.ok('images', 'rm', '--sync', NAME);
  assert.deepEqual(await names('content', 'ls', '-q'), []);
  for (const snapshotter of ['overlayfs', 'native']) {
    assert.deepEqual((await names('snapshots', '--snapshotter', snapshotter, 'ls')).slice(1), []);
    assert.deepEqual(readdirSync(join(root, `io.containerd.snapshotter.v1.${snapshotter}/snapshots`)), []);
  }
  assert.deepEqual(readdirSync(join(root, 'io.containerd.content.v1.content/blobs/sha256')), []);
});
