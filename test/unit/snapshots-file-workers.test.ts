import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { codes } from '../../common/errdefs.ts';
import { FileWorkers } from '../../daemon/snapshots/file-workers.ts';
import { eventually } from '../harness/wait.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-files-'));
after(() => rmSync(folder, { recursive: true }));

const workersOf = (context: TestContext, countMax: number): FileWorkers => {
  const workers = new FileWorkers(countMax);
  context.after(() => workers.close());
  return workers;
};

let trees = 0;
const tree = (files = 3000): string => {
  const path = join(folder, `tree-${(trees += 1)}`);
  mkdirSync(path);
  for (let file = 0; file < files; file += 1) writeFileSync(join(path, `f${file}`), 'content');
  return path;
};
const place = (): string => {
  const path = join(folder, `place-${(trees += 1)}`);
  mkdirSync(path);
  return path;
};

test('more jobs than threads all come to their end', async (context) => {
  const workers = workersOf(context, 2);
  const path = tree(10);
  const usages = await Promise.all(Array.from({ length: 7 }, () => workers.run({ verb: 'measure', path })));
  assert.deepEqual(new Set(usages.map((usage) => usage?.inodes)), new Set([11n]));
});

test('an abort cuts a copy in the middle, and the next job is done', async (context) => {
  const workers = workersOf(context, 1);
  const [from, to] = [tree(), place()];
  const giveUp = new AbortController();
  const copy = workers.run({ verb: 'copy', from, to }, giveUp.signal);
  const ended = assert.rejects(copy, /enough/);
  await eventually(() => readdirSync(to).length > 0, { everyMs: 1 });
  giveUp.abort(new Error('enough'));
  await ended;
  assert.ok(readdirSync(to).length < 3000);
  await workers.run({ verb: 'remove', path: to });
  assert.equal(existsSync(to), false);
});

test('a job that was given up before its turn is not begun', async (context) => {
  const workers = workersOf(context, 1);
  const [from, to, path] = [tree(), place(), tree(1)];
  const copy = workers.run({ verb: 'copy', from, to });
  const giveUp = new AbortController();
  const removal = assert.rejects(workers.run({ verb: 'remove', path }, giveUp.signal), /enough/);
  giveUp.abort(new Error('enough'));
  await Promise.all([copy, removal]);
  assert.ok(existsSync(path));
});

test('a close cuts what is under way and refuses what waits', async (context) => {
  const workers = workersOf(context, 1);
  const [from, to] = [tree(), place()];
  const jobs = [workers.run({ verb: 'copy', from, to }), workers.run({ verb: 'remove', path: from })];
  await eventually(() => readdirSync(to).length > 0, { everyMs: 1 });
  const ended = Promise.allSettled(jobs);
  await workers.close();
  for (const one of await ended) {
    assert.equal(one.status, 'rejected');
    assert.equal((one.reason as { code: number }).code, codes.unavailable);
  }
  assert.ok(existsSync(from));
});

test('a failure says what failed, and a tree that is not there is removed', async (context) => {
  const workers = workersOf(context, 1);
  const none = join(folder, 'none');
  await assert.rejects(workers.run({ verb: 'measure', path: none }), /ENOENT.*none/);
  await workers.run({ verb: 'remove', path: none });
});

test('a removal goes no further than the tree, and takes names that are no text', async (context) => {
  const workers = workersOf(context, 1);
  const [path, outside] = [tree(3), tree(3)];
  symlinkSync(outside, join(path, 'link'));
  writeFileSync(Buffer.concat([Buffer.from(`${path}/`), Buffer.from([0xff, 0xfe])]), '');
  await workers.run({ verb: 'remove', path });
  assert.deepEqual([existsSync(path), readdirSync(outside).length], [false, 3]);
});

test('what is measured is what is on the disk: a hole is nothing, a second name of a file neither', async (context) => {
  const workers = workersOf(context, 1);
  const path = place();
  writeFileSync(join(path, 'hole'), '');
  truncateSync(join(path, 'hole'), 1 << 30);
  const usage = await workers.run({ verb: 'measure', path });
  assert.equal(usage?.inodes, 2n);
  assert.ok(usage.size < 65_536n);
});
