import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { codeOf, codes } from '../../common/errdefs.ts';
import { Digester } from '../../daemon/content/digester.ts';
import { put, testContent } from './content-harness.ts';

const sha256 = (data: string): string => `sha256:${createHash('sha256').update(data).digest('hex')}`;
const failsWith = (code: number) => (error: unknown) => codeOf(error) === code;

test('a blob is a read-only file at the place where containerd has it', async () => {
  await using at = await testContent();
  const digest = await put(at.content, 'a', 'hello');
  const { path, size } = at.content.reader('a', digest);
  assert.equal(path, join(at.folder, 'blobs', 'sha256', digest.slice('sha256:'.length)));
  assert.deepEqual([size, readFileSync(path, 'utf8'), statSync(path).mode & 0o777], [5n, 'hello', 0o444]);
  assert.deepEqual(readdirSync(join(at.folder, 'ingest')), []);
});

test('a blob is announced once, and not when it is there already', async () => {
  await using at = await testContent();
  await put(at.content, 'a', 'hello');
  await put(at.content, 'a', 'hello');
  await put(at.content, 'b', 'hello');
  const events = at.store.events.read(0n, 10).map(({ namespace, topic }) => [namespace, topic]);
  assert.deepEqual(events, [
    ['a', '/content/create'],
    ['b', '/content/create'],
  ]);
});

test('another namespace has no blob that it did not ask for', async () => {
  await using at = await testContent();
  const digest = await put(at.content, 'a', 'hello');
  assert.throws(() => at.content.reader('b', digest), failsWith(codes.notFound));
});

test('what is there already gives its digest, and what an earlier writer left is thrown away', async () => {
  await using at = await testContent();
  const left = await at.content.ingest('a', 'ref', { total: 100 });
  await left.write(Buffer.from('the beginning of something else'));
  // The writer does not close: its daemon was killed.
  const again = at.again();
  const first = await again.ingest('a', 'ref', { total: 5n });
  await first.write(Buffer.from('hello'));
  assert.equal(await first.commit({ expected: sha256('hello') }), sha256('hello'));
  assert.equal(await put(again, 'a', 'hello'), sha256('hello'));
  await assert.rejects(left.abort(), failsWith(codes.notFound));
  await again.close();
});

test('a blob of the wrong size or digest is refused, and what was written is forgotten by an abort', async () => {
  await using at = await testContent();
  const ingest = await at.content.ingest('a', 'ref');
  await ingest.write(Buffer.from('hello'));
  await assert.rejects(ingest.commit({ size: 6 }), failsWith(codes.failedPrecondition));
  await assert.rejects(ingest.commit({ expected: sha256('x') }), failsWith(codes.failedPrecondition));
  await ingest.abort();
  await ingest.abort();
  assert.deepEqual(readdirSync(join(at.folder, 'ingest')), []);
  assert.throws(() => at.content.reader('a', sha256('hello')), failsWith(codes.notFound));
});

test('a file goes when the last namespace has given its blob up, and not before', async () => {
  await using at = await testContent();
  const digest = await put(at.content, 'a', 'hello');
  await put(at.content, 'b', 'hello');
  const { path } = at.content.reader('a', digest);
  at.forget('a', digest);
  assert.equal(await at.content.removeUnreferenced(), 0);
  assert.ok(existsSync(path));
  at.forget('b', digest);
  assert.equal(await at.content.removeUnreferenced(), 1);
  assert.ok(!existsSync(path));
});

test('what a crash left without a row goes, and an ingest under way stays', async () => {
  await using at = await testContent();
  const ingest = await at.content.ingest('a', 'ref');
  await ingest.write(Buffer.from('hello'));
  const stray = join(at.folder, 'blobs', 'sha256', 'a1'.repeat(32));
  mkdirSync(join(at.folder, 'blobs', 'sha256'), { recursive: true });
  writeFileSync(stray, 'x');
  mkdirSync(join(at.folder, 'ingest', 'stray'));
  writeFileSync(join(at.folder, 'ingest', 'stray', 'data'), 'x');
  writeFileSync(join(at.folder, 'blobs', 'sha256', 'README'), 'not ours');
  assert.equal(await at.content.removeUnreferenced(), 1);
  assert.ok(!existsSync(stray));
  assert.equal(readdirSync(join(at.folder, 'ingest')).length, 1);
  assert.deepEqual(readdirSync(join(at.folder, 'blobs', 'sha256')), ['README']);
  assert.equal(await ingest.commit(), sha256('hello'));
});

test('while a blob is written, given up and collected again and again, whoever has its row has its file', async () => {
  await using at = await testContent();
  const digest = sha256('contended');
  const work = async (namespace: string): Promise<void> => {
    for (let round = 0; round < 40; round += 1) {
      assert.equal(await put(at.content, namespace, 'contended'), digest);
      assert.equal(readFileSync(at.content.reader(namespace, digest).path, 'utf8'), 'contended');
      at.forget(namespace, digest);
      await at.content.removeUnreferenced();
    }
  };
  await Promise.all(['a', 'b', 'c'].map(work));
  assert.equal(await at.content.removeUnreferenced(), 0);
  assert.deepEqual(readdirSync(join(at.folder, 'blobs', 'sha256')), []);
});

test('a claim on another namespace’s blob keeps the file when its owner gives it up', async () => {
  await using at = await testContent();
  const digest = await put(at.content, 'a', 'hello');
  const claim = at.store.db.sql.prepare<[string]>(
    "INSERT INTO ingests (namespace, ref, total, claim, started_at) VALUES ('a', 'claim', 5, ?, 0)",
  );
  claim.run(digest);
  at.forget('a', digest);
  assert.equal(await at.content.removeUnreferenced(), 0);
  assert.deepEqual(readdirSync(join(at.folder, 'blobs', 'sha256')).length, 1);
});

for (const algorithm of ['sha256', 'sha512']) {
  test(`a long piece is hashed by ${algorithm} in slices between which others have their turn`, async () => {
    const bytes = Buffer.alloc((2 << 20) + 17, 'x');
    const digester = new Digester(algorithm);
    let [turns, hashing] = [0, true];
    const count = (): void => {
      turns += 1;
      if (hashing) setImmediate(count);
    };
    setImmediate(count);
    await digester.update(bytes.subarray(0, 5));
    await digester.update(bytes.subarray(5));
    hashing = false;
    assert.equal(digester.digest, `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`);
    assert.ok(turns >= 8, `${turns} turns for 2 MiB`);
  });
}
