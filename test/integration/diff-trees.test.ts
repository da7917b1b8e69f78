import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { must } from '../harness/exec.ts';
import { apply, compare, describe, workFolder } from './diff-harness.ts';
import { build, type Thing, things } from './diff-trees.ts';

// Random trees go through archives of ours and of GNU tar, and must come out as they were.

const folder = workFolder();
const numRuns = process.env['HOLDFAST_TEST_LONG'] === '1' ? 400 : 25;

const treeOf = (all: readonly Thing[]): string => {
  const root = folder.fresh();
  build(root, all);
  return root;
};

/** A layer cannot take an attribute from a directory that stays: containerd, too, only adds those of an entry. */
const withoutDirectoryXattrs = (all: readonly Thing[]): Thing[] =>
  all.map((one) => (one.kind === 'directory' ? { ...one, xattrs: [] } : one));

const XATTRS = ['--xattrs', '--xattrs-include=user.*'];

const formats: Record<string, readonly string[]> = {
  gnu: ['--format=gnu'],
  'gnu, sparse': ['--format=gnu', '--sparse'],
  pax: ['--format=posix', ...XATTRS],
  'pax, sparse 0.0': ['--format=posix', '--sparse-version=0.0', ...XATTRS],
  'pax, sparse 0.1': ['--format=posix', '--sparse-version=0.1', ...XATTRS],
  'pax, sparse 1.0': ['--format=posix', '--sparse-version=1.0', ...XATTRS],
};

/** What GNU's own format leaves out: attributes, and parts of seconds. */
const asGnuHasIt = (tree: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(tree).map(([path, line]) => [
      path,
      line.replace(/ user\.[^ ]*/g, '').replace(/^(\S+ \S+) (\d+)/, (_, head: string, time: string) => {
        return `${head} ${BigInt(time) / 1_000_000_000n}`;
      }),
    ]),
  );

for (const [format, flags] of Object.entries(formats)) {
  test(`what GNU tar packs (${format}) is unpacked as it was`, async () => {
    await fc.assert(
      fc.asyncProperty(things, async (all) => {
        const tree = treeOf(all);
        const archive = `${tree}.tar`;
        await must('tar', [...flags, '--numeric-owner', '-C', tree, '-cf', archive, '.']);
        const root = folder.fresh();
        await apply(readFileSync(archive), root);
        const keep = format.startsWith('gnu') ? asGnuHasIt : (same: Record<string, string>) => same;
        assert.deepEqual(keep(describe(root)), keep(describe(tree)));
      }),
      { numRuns },
    );
  });
}

test('what we pack, GNU tar and we unpack as it was', async () => {
  await fc.assert(
    fc.asyncProperty(things, async (all) => {
      const tree = treeOf(all);
      const bytes = await compare(folder.fresh(), tree);
      const [theirs, ours] = [folder.fresh(), folder.fresh()];
      await must('tar', [...XATTRS, '--numeric-owner', '--same-owner', '-C', theirs, '-xpf', '-'], { input: bytes });
      await apply(bytes, ours);
      assert.deepEqual(describe(ours), describe(tree));
      assert.deepEqual(describe(theirs), describe(tree));
    }),
    { numRuns },
  );
});

test('the difference of two trees makes the one of the other, and is the same bytes each time', async () => {
  await fc.assert(
    fc.asyncProperty(things, things, async (before, after) => {
      const [lower, upper] = [treeOf(withoutDirectoryXattrs(before)), treeOf(after)];
      const layer = await compare(lower, upper);
      assert.ok(layer.equals(await compare(lower, upper)));
      const root = folder.fresh();
      await must('cp', ['-a', `${lower}/.`, root]);
      await apply(layer, root);
      assert.deepEqual(describe(root), describe(upper));
      assert.ok(layer.equals(await compare(lower, root)), 'compare(apply(x)) = x');
    }),
    { numRuns },
  );
});

test('the layer of a change mentions the change, its directories and nothing else', async () => {
  const lower = folder.fresh();
  await must('sh', ['-c', 'mkdir -p a/b c d/e; echo 1 >a/b/f; echo 2 >c/g; echo 3 >c/h; echo 4 >d/e/i'], {
    cwd: lower,
  });
  const upper = folder.fresh();
  await must('cp', ['-a', `${lower}/.`, upper]);
  await must('sh', ['-c', 'echo new >a/b/f; rm c/g; rm -r d'], { cwd: upper });
  const listed = await must('tar', ['-tf', '-'], { input: await compare(lower, upper) });
  assert.deepEqual(listed.trim().split('\n'), ['a/', 'a/b/', 'a/b/f', 'c/', 'c/.wh.g', '.wh.d']);
});

test('a hole stays one', async () => {
  const tree = folder.fresh();
  await must('sh', ['-c', 'truncate -s 64M hole; printf end >>hole'], { cwd: tree });
  await must('tar', ['--format=posix', '--sparse', '-C', tree, '-cf', `${tree}.tar`, '.']);
  const root = folder.fresh();
  await apply(readFileSync(`${tree}.tar`), root);
  const blocks = await must('stat', ['-c', '%s %b', `${root}/hole`]);
  assert.match(blocks, /^67108867 \d{1,3}\n$/);
});

for (const compression of ['gzip', 'zstd'] as const) {
  test(`a ${compression} layer of ours is one for the machine's ${compression}, and the other way round`, async () => {
    const tree = folder.fresh();
    await must('sh', ['-c', 'seq 300000 >numbers; head -c 3000000 /dev/urandom >noise'], { cwd: tree });
    const bytes = await compare(folder.fresh(), tree, { compression });
    const listed = await must('sh', ['-c', `${compression} -dc | tar -tf -`], { input: bytes });
    assert.deepEqual(listed, 'noise\nnumbers\n');
    // Two members, one after the other, are one stream.
    await must(
      'sh',
      [
        '-c',
        `tar --format=posix -C . -cf ../m.tar . && (head -c 1000000 ../m.tar | ${compression} -c; tail -c +1000001 ../m.tar | ${compression} -c) >../m.bin`,
      ],
      { cwd: tree },
    );
    assert.ok(existsSync(`${folder.path}/m.bin`));
    for (const layer of [bytes, readFileSync(`${folder.path}/m.bin`)]) {
      const root = folder.fresh();
      await apply(layer, root);
      assert.deepEqual(describe(root), describe(tree));
    }
  });
}
