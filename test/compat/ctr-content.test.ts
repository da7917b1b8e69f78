import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { NO_COLLECTION } from '../harness/containerd.ts';
import { testBed } from '../harness/temp.ts';
import { compareSides, type Side } from './sides.ts';

// `ctr content`, and what `ctr images` does with names alone, on containerd and on ours.

const bed = testBed();
// What nothing refers to yet is not to be collected between two commands.
const compare = compareSides(bed, { theirs: NO_COLLECTION });

const digestOf = (data: string | Buffer): string => `sha256:${createHash('sha256').update(data).digest('hex')}`;

/** Writes a blob that a collection leaves alone. */
const ingest = async (side: Side, data: string | Buffer, ref: string = digestOf(data)): Promise<string> => {
  const { status, stderr } = await side.ctr.run(['content', 'ingest', ref], { input: Buffer.from(data) });
  assert.equal(status, 0, stderr);
  await side.ctr.ok('content', 'label', digestOf(data), 'containerd.io/gc.root=now');
  return digestOf(data);
};

/** Removes what a test made, so that the next begins with nothing. */
const clear = async (side: Side): Promise<void> => {
  for (const [list, remove] of [
    [
      ['content', 'ls', '-q'],
      ['content', 'rm'],
    ],
    [
      ['images', 'ls', '-q'],
      ['images', 'rm'],
    ],
  ] as const) {
    const names = (await side.ctr.ok(...list)).split('\n').filter((line) => line !== '');
    if (names.length > 0) await side.ctr.ok(...remove, ...names);
  }
};

const ascending = (a: string, b: string): number => (a < b ? -1 : 1);

/** Lines of a table without its columns of ages. */
const rows = (table: string): string[] =>
  table
    .trimEnd()
    .split('\n')
    .map((line) =>
      line
        .replaceAll(/\d+ (milli|micro)?seconds?|Less than a second/g, '<age>')
        .replaceAll(/\s+/g, ' ')
        .trim(),
    );

compare(
  'content ingest, ls, ls -q, get, label, rm',
  async (side) => {
    const seen = {
      ingest: await side.ctr.run(['content', 'ingest', 'a'], { input: 'hello' }),
      expected: await side.ctr.run(
        ['content', 'ingest', '--expected-digest', digestOf('sized'), '--expected-size', '5', 'b'],
        { input: 'sized' },
      ),
      again: await side.ctr.run(['content', 'ingest', '--expected-digest', digestOf('sized'), 'c'], { input: 'sized' }),
      label: await side.ctr.run(['content', 'label', digestOf('hello'), 'k=v', 'containerd.io/gc.root=x']),
      unlabel: await side.ctr.run(['content', 'label', digestOf('hello'), 'k=']),
      ls: rows(await side.ctr.ok('content', 'ls', `digest==${digestOf('hello')}`)),
      quiet: await side.ctr.ok('content', 'ls', '-q', 'labels."containerd.io/gc.root"==x'),
      get: await side.ctr.run(['content', 'get', digestOf('hello')]),
      rm: await side.ctr.run(['content', 'rm', digestOf('hello'), digestOf('nothing')]),
      gone: await side.ctr.run(['content', 'get', digestOf('hello')]),
    };
    await clear(side);
    const sorted = ({ stdout, ...rest }: { stdout: string }) => ({
      ...rest,
      stdout: stdout
        .trim()
        .split(/[\s,]+/)
        .toSorted(), // a Go map comes in any order
    });
    return { ...seen, label: sorted(seen.label), unlabel: sorted(seen.unlabel) };
  },
  ({ ingest: { status }, get, quiet, rm, gone }) => {
    assert.deepEqual([status, get.stdout, quiet], [0, 'hello', `${digestOf('hello')}\n`]);
    assert.deepEqual([rm.status, gone.status], [0, 1]);
    assert.match(gone.stderr, /not found/);
  },
);

compare(
  'content ingest of what is not what was expected',
  async (side) => [
    await side.ctr.run(['content', 'ingest', '--expected-size', '4', 'w1'], { input: 'hello' }),
    await side.ctr.run(['content', 'ingest', '--expected-digest', digestOf('other'), 'w2'], { input: 'hello' }),
    await side.ctr.run(['content', 'ingest', ''], { input: 'hello' }),
    await side.ctr.run(['content', 'get', 'sha256:short']),
    await side.ctr.run(['content', 'get', digestOf('nothing')]),
    rows(await side.ctr.ok('content', 'active')).toSorted(ascending),
  ],
  ([size, digest]) => {
    assert.match(JSON.stringify(size), /failed size validation: 5 != 4: failed precondition/);
    assert.match(JSON.stringify(digest), /unexpected commit digest/);
  },
);

compare(
  'a blob of some mebibytes comes back as it was',
  async (side) => {
    const data = Buffer.alloc((5 << 20) + 3, 'abcdefg');
    const digest = await ingest(side, data);
    const back = digestOf(Buffer.from(await side.ctr.ok('content', 'get', digest)));
    await clear(side);
    return { digest, back };
  },
  ({ digest, back }) => assert.equal(back, digest),
);

compare(
  'content edit writes a blob anew',
  async (side) => {
    const digest = await ingest(side, 'hello\n');
    const edit = await side.ctr.run(['content', 'edit', '--editor', 'echo goodbye >', digest]);
    const get = await side.ctr.run(['content', 'get', digestOf('goodbye\n')]);
    await clear(side);
    return { edit, get };
  },
  ({ edit, get }) => assert.deepEqual([edit.stdout.trim(), get.stdout], [digestOf('goodbye\n'), 'goodbye\n']),
);

/** An image of one platform without layers; gives its manifest's digest. */
const putImage = async (side: Side): Promise<string> => {
  const config = JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } });
  await ingest(side, config);
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType,
    config: {
      mediaType: 'application/vnd.oci.image.config.v1+json',
      digest: digestOf(config),
      size: config.length,
    },
    layers: [],
  });
  const digest = await ingest(side, manifest);
  await side.images.create({
    image: {
      name: 'example.test/a:1',
      labels: new Map([['k', 'v']]),
      target: { mediaType, digest, size: BigInt(manifest.length), annotations: new Map() },
      createdAt: undefined,
      updatedAt: undefined,
    },
    sourceDateEpoch: undefined,
  });
  return digest;
};

compare(
  'images ls, tag, label, check, rm',
  async (side) => {
    await putImage(side);
    const ctr = side.ctr;
    const seen = [
      await ctr.run(['images', 'ls']),
      await ctr.run(['images', 'tag', 'example.test/a:1', 'example.test/b:1']),
      await ctr.run(['images', 'tag', 'example.test/a:1', 'example.test/b:1']),
      await ctr.run(['images', 'tag', '--force', 'example.test/a:1', 'example.test/b:1']),
      await ctr.run(['images', 'tag', 'example.test/none:1', 'example.test/c:1']),
      await ctr.run(['images', 'label', 'example.test/b:1', 'k=w']),
      await ctr.run(['images', 'label', 'example.test/b:1', 'k=']),
      await ctr.run(['images', 'label', '--replace-all', 'example.test/b:1', 'x=y']),
      await ctr.run(['images', 'label', 'example.test/none:1', 'x=y']),
      await ctr.run(['images', 'ls', '-q']),
      await ctr.run(['images', 'ls', '-q', 'labels.x==y']),
      await ctr.run(['images', 'ls', 'name==(']),
      await ctr.run(['images', 'rm', 'example.test/b:1', 'example.test/none:1']),
      await ctr.run(['images', 'rm', '--sync', 'example.test/a:1']),
      await ctr.run(['images', 'ls', '-q']),
    ];
    await clear(side);
    return seen;
  },
  (seen) => {
    assert.match(seen[0]?.stdout ?? '', /example\.test\/a:1 +application\/vnd\.oci\.image\.manifest/);
    assert.deepEqual(
      [seen[9]?.stdout, seen[10]?.stdout],
      ['example.test/a:1\nexample.test/b:1\n', 'example.test/b:1\n'],
    );
    assert.deepEqual(
      seen.map(({ status }) => status),
      [0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
    );
  },
);

compare(
  'events of images and content',
  async (side) => {
    const events = side.ctr.attach(['events', 'topic~=^/(images|content)/']);
    const blob = await ingest(side, 'x'); // first: the end of the lease that a tag is made under collects
    await putImage(side);
    // Subscribed once the first image is heard of.
    for (let round = 0; !events.stdout.includes('/images/'); round += 1) {
      await side.ctr.ok('images', 'tag', 'example.test/a:1', `example.test/${round}:1`);
    }
    const from = events.stdout.length;
    await side.ctr.ok('images', 'label', 'example.test/a:1', 'x=y');
    await side.ctr.ok('images', 'rm', 'example.test/a:1');
    await side.ctr.ok('content', 'rm', blob);
    await events.says('/content/delete');
    events.signal('SIGTERM');
    await events.end();
    await clear(side);
    return events.stdout
      .slice(from)
      .split('\n')
      .map((line) => line.replace(/^.*? \S+ (?=\/)/, ''))
      .filter((line) => /^\/images\/(update|delete)|^\/content\/delete/.test(line));
  },
  (lines) => {
    assert.equal(lines.length, 3);
    assert.match(lines[0] ?? '', /^\/images\/update \{"name":"example.test\/a:1","labels":/);
  },
);
