import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ContentDefinition } from '../../proto/gen/containerd/services/content/v1/content.ts';
import { DiffDefinition } from '../../proto/gen/containerd/services/diff/v1/diff.ts';
import type { Descriptor, Mount } from '../../proto/gen/containerd/types/types.ts';
import { startContainerd } from '../harness/containerd.ts';
import type { Daemon } from '../harness/daemon.ts';
import { must } from '../harness/exec.ts';
import type { Stub } from '../harness/grpc.ts';
import { type Member, tarOf } from '../harness/layers.ts';
import { testBed } from '../harness/temp.ts';
import { apply, describe, sha256 } from '../integration/diff-harness.ts';
import { bind, type DiffServer, FileContent, GZIP, overlay, startDiffServer, TAR } from '../integration/diff-server.ts';

// A real containerd and our Diff service on the same blobs: answers, texts and trees must be the same.

const bed = testBed();
let containerd: Daemon;
let ours: DiffServer;
let theirs: Stub<typeof DiffDefinition>;
let labels: (digest: string) => Promise<ReadonlyMap<string, string> | undefined>;
let content: FileContent;

before(async () => {
  // Blobs that nothing refers to are to stay: no collection soon after the start, nor after many changes.
  const config = '[plugins."io.containerd.gc.v1.scheduler"]\n  startup_delay = "1h"\n  mutation_threshold = 1000000\n';
  containerd = await startContainerd(bed, { config });
  content = new FileContent(bed.folder('written'), containerd.root);
  ours = await startDiffServer(bed, content);
  bed.defer(() => ours.close());
  const client = containerd.client();
  bed.defer(() => client.close());
  theirs = client.service(DiffDefinition);
  labels = async (digest) => (await client.service(ContentDefinition).info({ digest })).info?.labels;
});

let folders = 0;
const fresh = (): string => bed.folder(`d${(folders += 1)}`);

/** Gives a blob to containerd, whose file is then ours to read too. */
const put = async (bytes: Buffer, mediaType: string): Promise<Descriptor> => {
  const digest = sha256(bytes);
  const { status, stderr } = await containerd.ctr.run(['content', 'ingest', `ref-${digest}`], { input: bytes });
  assert.ok(status === 0 || stderr.includes('already exists'), stderr);
  return { mediaType, digest, size: BigInt(bytes.length), annotations: new Map() };
};

type Outcome = { readonly reply: unknown } | { readonly code: number; readonly details: string };

const outcome = async (call: Promise<unknown>): Promise<Outcome> => {
  try {
    return { reply: await call };
  } catch (error) {
    const { code, details } = error as { readonly code?: number; readonly details?: string };
    if (code === undefined || details === undefined) throw error;
    return { code, details: details.replace(/\S+\/(containerd-mount\d+|mount-\w+)/g, '<mount>') };
  }
};

/** A directory that was not in the layer got the time of its making; devices of overlayfs as well. */
const comparable = (tree: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(tree).map(([path, line]) => [path, line.replace(/^(4\d{4} \S+|20000 \S+) \d+/, '$1')]),
  );

const LOWER =
  'mkdir -p d/e keep; echo 1 >d/e/f; echo 2 >d/g; echo 3 >keep/h; chmod 2750 d; chown 5:6 d; ln -s keep s; find . -exec touch -h -d @50 {} +';

interface Side {
  readonly mounts: Mount[];
  readonly tree: () => Record<string, string>;
}

const kinds: Readonly<Record<string, () => Promise<Side>>> = {
  'a directory': async () => {
    const root = fresh();
    await must('sh', ['-ec', LOWER], { cwd: root });
    return { mounts: bind(root, 'rw'), tree: () => describe(root) };
  },
  'an overlay': async () => {
    const [lower, upper, work] = [fresh(), fresh(), fresh()];
    await must('sh', ['-ec', LOWER], { cwd: lower });
    return { mounts: overlay([lower], { upper, work }), tree: () => describe(upper) };
  },
};

const SETUID = { mode: 0o6755, uid: 12, gid: 34 };
const LAYERS: Readonly<Record<string, readonly Member[]>> = {
  'files of all types': [
    { name: 'n/f', data: 'text', ...SETUID, mtime: 1_700_000_000_123_456_789n },
    { name: 'n/h', type: '1', link: 'n/f', ...SETUID, mtime: 1_700_000_000_123_456_789n },
    { name: 'n/s', type: '2', link: '/absent', uid: 7 },
    { name: 'n/c', type: '3', major: 1, minor: 3, mode: 0o620 },
    { name: 'n/p', type: '6', mode: 0o600 },
    {
      name: 'n/x',
      xattrs: new Map([
        ['user.x', Buffer.from('y')],
        ['trusted.z', Buffer.from('no')],
      ]),
    },
  ],
  'sockets of mode and sticky directories': [
    { name: 't', type: '5', mode: 0o1777 },
    { name: 't/u', type: '5', mode: 0 },
  ],
  'a file below a directory that is not in the layer': [{ name: 'd/e/new' }],
  whiteouts: [{ name: 'd/.wh.g' }, { name: '.wh.keep' }],
  'an opaque directory': [{ name: 'd', type: '5' }, { name: 'd/.wh..wh..opq' }, { name: 'd/new' }],
  'a directory for a file and a file for a directory': [
    { name: 'd', data: 'x' },
    { name: 'keep/h', type: '5' },
  ],
  'a time before 1970': [{ name: 'old', mtime: -5_000_000_000n }],
  'names with dots and slashes': [{ name: '../../up' }, { name: '/abs' }, { name: './d//./e/../dots' }],
  'a symlink to what is not there, and a file through it': [
    { name: 'l', type: '2', link: '/not/yet' },
    { name: 'l/f' },
  ],
  'a file through a symlink out': [
    { name: 'l', type: '2', link: '../../../..' },
    { name: 'l/f', data: 'x' },
  ],
};

for (const [kind, make] of Object.entries(kinds)) {
  for (const [name, members] of Object.entries(LAYERS)) {
    test(`${name}, on ${kind}: the same answer and the same tree`, async () => {
      const layer = tarOf(...members);
      const [a, b] = [await make(), await make()];
      const expected = await theirs.apply({ diff: await put(gzipSync(layer), GZIP), mounts: a.mounts });
      assert.equal(expected.applied?.digest, sha256(layer));
      assert.deepEqual(await ours.diff.apply({ diff: await put(gzipSync(layer), GZIP), mounts: b.mounts }), expected);
      assert.deepEqual(comparable(b.tree()), comparable(a.tree()));
    });
  }
}

const sound = tarOf({ name: 'x', data: 'y'.repeat(100_000) });
const same: Readonly<Record<string, readonly [bytes: Buffer, mediaType: string]>> = {
  'a layer that is compressed otherwise than its type says': [sound, GZIP],
  'a layer of one of Docker types': [gzipSync(sound), 'application/vnd.docker.image.rootfs.diff.tar'],
  'an unknown media type': [sound, 'text/plain'],
  'a configuration': [sound, 'application/vnd.oci.image.config.v1+json'],
  'a compressed layer under a plain type': [gzipSync(sound), TAR],
  'an archive that is cut': [sound.subarray(0, 20_000), TAR],
  'a compressed archive that is cut': [gzipSync(sound).subarray(0, 100), GZIP],
  'what is no archive': [Buffer.alloc(2048, 'x'), TAR],
  nothing: [Buffer.alloc(0), TAR],
};

for (const [name, [bytes, mediaType]] of Object.entries(same)) {
  test(`${name}: the same answer`, async () => {
    const diff =
      bytes.length === 0
        ? { mediaType, digest: sha256(bytes), size: 0n, annotations: new Map<string, string>() }
        : await put(bytes, mediaType);
    const expected = await outcome(theirs.apply({ diff, mounts: bind(fresh()) }));
    assert.deepEqual(await outcome(ours.diff.apply({ diff, mounts: bind(fresh()) })), expected);
  });
}

test('an absent blob: the same answer', async () => {
  const diff = {
    mediaType: TAR,
    digest: sha256(Buffer.from('absent')),
    size: 1n,
    annotations: new Map<string, string>(),
  };
  const expected = await outcome(theirs.apply({ diff, mounts: bind(fresh()) }));
  assert.equal('code' in expected && expected.code, 5);
  assert.deepEqual(await outcome(ours.diff.apply({ diff, mounts: bind(fresh()) })), expected);
});

test('a comparison to a type that is no layer: the same answer', async () => {
  const request = { left: [], right: bind(fresh()), mediaType: 'text/plain' };
  const expected = await outcome(theirs.diff(request));
  assert.deepEqual(await outcome(ours.diff.diff(request)), expected);
});

test("our layer on containerd, and containerd's layer on ours, make the same tree", async () => {
  const [lower, upper] = [fresh(), fresh()];
  await must('sh', ['-ec', LOWER], { cwd: lower });
  await must('cp', ['-a', `${lower}/.`, upper]);
  await must(
    'sh',
    [
      '-ec',
      'rm d/g; rm -r keep; mkdir -p a/b; echo n >a/b/c; ln a/b/c a/l; touch -d @5 a/b/c; find . -exec touch -h -d @77 {} +',
    ],
    { cwd: upper },
  );
  const request = { left: bind(lower, 'ro'), right: bind(upper, 'ro'), mediaType: GZIP };
  const { diff: mine } = await ours.diff.diff(request);
  const { diff: other } = await theirs.diff(request);
  const bytes = readFileSync(content.path(mine?.digest ?? ''));
  const trees = [];
  for (const target of [fresh(), fresh()]) {
    await must('cp', ['-a', `${lower}/.`, target]);
    trees.push(target);
  }
  const [onTheirs = '', onOurs = ''] = trees;
  await theirs.apply({ diff: await put(bytes, GZIP), mounts: bind(onTheirs) });
  await apply(readFileSync(content.path(other?.digest ?? '')), onOurs);
  assert.deepEqual(describe(onTheirs), describe(upper));
  assert.deepEqual(describe(onOurs), describe(upper));
  const theirLabels = await labels(other?.digest ?? '');
  const ourLabels = content.labels.get(mine?.digest ?? '');
  assert.deepEqual([...(ourLabels?.keys() ?? [])], [...(theirLabels?.keys() ?? [])]);
  const names = async (digest: string): Promise<string[]> =>
    (await must('tar', ['-tzf', join(content.path(digest))]))
      .trim()
      .split('\n')
      .sort((a, b) => (a < b ? -1 : 1));
  assert.deepEqual(await names(mine?.digest ?? ''), await names(other?.digest ?? ''));
});
