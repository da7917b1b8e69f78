import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { codes } from '../../common/errdefs.ts';
import {
  ContentDefinition,
  type ListContentResponse,
  WriteAction,
} from '../../proto/gen/containerd/services/content/v1/content.ts';
import { ImagesDefinition } from '../../proto/gen/containerd/services/images/v1/images.ts';
import { LeasesDefinition } from '../../proto/gen/containerd/services/leases/v1/leases.ts';
import { NamespacesDefinition } from '../../proto/gen/containerd/services/namespaces/v1/namespaces.ts';
import { eventually } from '../harness/wait.ts';
import { collect, digestOf, putBlob, WriteCall, writeCall } from './content-harness.ts';
import { cleanUp, startDaemon, type StartOptions, temporaryFolder, type TestDaemon } from './daemon-harness.ts';

const { STAT, WRITE, COMMIT } = WriteAction;
const STORE = 'root/io.containerd.content.v1.content';

const start = async (context: TestContext, options: StartOptions = {}): Promise<TestDaemon> => {
  const daemon = await startDaemon(options);
  context.after(() => cleanUp(daemon));
  return daemon;
};

const blobPath = (daemon: TestDaemon, digest: string): string =>
  join(daemon.folder, STORE, 'blobs', ...digest.split(':'));

const ingests = (daemon: TestDaemon): string[] => readdirSync(join(daemon.folder, STORE, 'ingest'));

/** A configuration file in a folder of its own, for a daemon to be started there. */
const configured = (toml: string): StartOptions & { readonly folder: string } => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'c.toml'), toml);
  return { folder, arguments: ['--config', join(folder, 'c.toml')] };
};

/** Builds what sync-trace.c is; gives its path. */
const syncTrace = (context: TestContext): string => {
  const folder = temporaryFolder();
  context.after(() => rmSync(folder, { recursive: true }));
  const library = join(folder, 'sync-trace.so');
  execFileSync('gcc', ['-shared', '-fPIC', '-o', library, join(import.meta.dirname, 'sync-trace.c')]);
  return library;
};

test('an upload that a kill cut goes on where it was, and becomes the blob that was expected', async (context) => {
  const first = await start(context);
  const data = randomBytes(3 << 20);
  await using cut = new WriteCall(first.address);
  await cut.send({ action: WRITE, ref: 'r', total: BigInt(data.length), data: data.subarray(0, 2 << 20) });
  await first.stop('SIGKILL');

  const second = await start(context, { folder: first.folder });
  const { status } = await second.client(ContentDefinition).status({ ref: 'r' });
  assert.deepEqual([status?.offset, status?.total], [BigInt(2 << 20), BigInt(data.length)]);
  const digest = digestOf(data);
  const responses = await writeCall(second.address, [
    { action: STAT, ref: 'r', total: BigInt(data.length), expected: digest },
    { action: WRITE, offset: BigInt(2 << 20), data: data.subarray(2 << 20) },
    { action: COMMIT, offset: BigInt(data.length), total: BigInt(data.length), expected: digest },
  ]);
  assert.deepEqual([responses[0]?.offset, responses[2]?.digest], [BigInt(2 << 20), digest]);
  assert.deepEqual(readFileSync(blobPath(second, digest)), data);
  assert.deepEqual(ingests(second), []);
});

test('a blob is on the disk before its name is, and its name before its reply', async (context) => {
  const preload = syncTrace(context);
  const trace = `${preload}.log`;
  const daemon = await start(context, { environment: { LD_PRELOAD: preload, SYNC_TRACE: trace } });
  const digest = await putBlob(daemon.address, 'to last');
  const calls = readFileSync(trace, 'utf8').split('\n');
  const order = [
    /^sync .*\/ingest\/\w+\/data$/,
    new RegExp(`^rename .*/blobs/${digest.replace(':', '/')}$`),
    /^sync .*\/blobs\/sha256$/,
    /^sync .*\/metadata\.db-wal$/,
  ];
  const places = order.map((call) => calls.findLastIndex((line) => call.test(line)));
  assert.ok(!places.includes(-1), calls.join('\n'));
  assert.deepEqual(
    places.toSorted((a, b) => a - b),
    places,
  );
});

test('what a disk refused to take is neither committed nor gone on with', async (context) => {
  const daemon = await start(context, { environment: { LD_PRELOAD: syncTrace(context), SYNC_FAIL: '/ingest/' } });
  const commit = { action: COMMIT, ref: 'r', data: Buffer.from('hello') } as const;
  await assert.rejects(writeCall(daemon.address, [commit]), { code: codes.unknown, details: /EIO/ });
  const [response] = await writeCall(daemon.address, [{ action: STAT, ref: 'r' }]);
  assert.equal(response?.offset, 0n);
  assert.equal((await writeCall(daemon.address, [commit]))[0]?.digest, digestOf('hello'));
});

test('a reference has one writer; the next may go on as soon as that one has ended', async (context) => {
  const daemon = await start(context);
  await using first = new WriteCall(daemon.address);
  await first.send({ action: WRITE, ref: 'r', data: Buffer.from('he') });
  await assert.rejects(writeCall(daemon.address, [{ ref: 'r' }]), {
    code: codes.unavailable,
    details: /^ref \d+\/test\/r locked for \d.*s \(since .*\): unavailable$/,
  });
  assert.equal((await writeCall(daemon.address, [{ ref: 'r' }], { namespace: 'other' })).length, 1);
  await first.end();
  const [response] = await writeCall(daemon.address, [{ ref: 'r' }]);
  assert.equal(response?.offset, 2n);
});

test('a client that goes away in the middle leaves the ingest for the next', async (context) => {
  const daemon = await start(context);
  const first = new WriteCall(daemon.address);
  await first.send({ action: WRITE, ref: 'r', data: Buffer.from('he') });
  await first[Symbol.asyncDispose]();
  const responses = await eventually(() => writeCall(daemon.address, [{ action: STAT, ref: 'r' }]));
  assert.equal(responses[0]?.offset, 2n);
});

test('an aborted upload is told at its commit, and its reference is free at once', async (context) => {
  const daemon = await start(context);
  await using call = new WriteCall(daemon.address);
  await call.send({ action: WRITE, ref: 'r', data: Buffer.from('old') });
  await daemon.client(ContentDefinition).abort({ ref: 'r' });
  assert.equal(await putBlob(daemon.address, 'new', { ref: 'r' }), digestOf('new'));
  await assert.rejects(call.send({ action: COMMIT, offset: 3n }), { code: codes.notFound, details: /aborted/ });
  assert.ok(!existsSync(blobPath(daemon, digestOf('old'))));
});

test('a blob may be named by sha512, whether that is said at the beginning or at the end', async (context) => {
  const daemon = await start(context);
  const early = digestOf('early', 'sha512');
  await writeCall(daemon.address, [{ action: COMMIT, ref: 'e', data: Buffer.from('early'), expected: early }]);
  const late = digestOf('late', 'sha512');
  const responses = await writeCall(daemon.address, [
    { action: WRITE, ref: 'l', data: Buffer.from('late') },
    { action: COMMIT, offset: 4n, expected: late },
  ]);
  assert.equal(responses[1]?.digest, late);
  assert.deepEqual(
    [early, late].map((digest) => readFileSync(blobPath(daemon, digest), 'utf8')),
    ['early', 'late'],
  );
});

for (const key of ['[plugins."io.containerd.metadata.v1.bolt"]\ncontent_sharing_policy', '[content]\nsharing']) {
  test(`isolated content costs another namespace all its bytes (${key.replace('\n', ' ')})`, async (context) => {
    const daemon = await start(context, configured(`version = 2\n${key} = "isolated"\n`));
    const digest = await putBlob(daemon.address, 'secret');
    const open = { action: STAT, ref: 'r', expected: digest } as const;
    const offset = async (namespace: string) => (await writeCall(daemon.address, [open], { namespace }))[0]?.offset;
    assert.equal(await offset('other'), 0n);
    await daemon.client(NamespacesDefinition).update({
      namespace: { name: 'test', labels: new Map([['containerd.io/namespace.shareable', 'true']]) },
      updateMask: undefined,
    });
    assert.equal(await offset('another'), 6n, 'a namespace may share by its label');
    assert.equal(await putBlob(daemon.address, 'secret', { namespace: 'third' }), digest);
  });
}

test('a deleted blob leaves the disk when no namespace has it, and no upload stands for it', async (context) => {
  const daemon = await start(context);
  const content = daemon.client(ContentDefinition);
  const digest = await putBlob(daemon.address, 'hello');
  await using claim = new WriteCall(daemon.address, { namespace: 'other' });
  await claim.send({ action: STAT, ref: 'r', expected: digest });
  await content.delete({ digest });
  await claim.send({ action: COMMIT, offset: 5n, expected: digest });
  assert.equal(readFileSync(blobPath(daemon, digest), 'utf8'), 'hello');
  await content.delete({ digest }, { metadata: { 'containerd-namespace': 'other' } });
  await eventually(() => !existsSync(blobPath(daemon, digest)), { what: 'the file to go' });
});

test('a list of many blobs comes in messages of a hundred', async (context) => {
  const daemon = await start(context);
  const wanted = await Promise.all(Array.from({ length: 250 }, (_, index) => putBlob(daemon.address, `b${index}`)));
  const messages = await collect(daemon.client(ContentDefinition).list({ filters: [] }));
  assert.deepEqual(
    messages.map(({ info }: ListContentResponse) => info.length),
    [100, 100, 50],
  );
  assert.deepEqual(
    messages.flatMap(({ info }: ListContentResponse) => info.map(({ digest }) => digest)),
    wanted.toSorted(),
  );
});

test('a large blob is read in pieces of a mebibyte, and only as fast as it is taken', async (context) => {
  const daemon = await start(context);
  const data = Buffer.alloc(96 << 20, 'x');
  await using call = new WriteCall(daemon.address);
  for (let at = 0; at < data.length; at += 8 << 20) {
    await call.send({ action: WRITE, ref: 'r', offset: BigInt(at), data: data.subarray(at, at + (8 << 20)) });
  }
  const { digest } = await call.send({ action: COMMIT, offset: BigInt(data.length) });

  const resident = (): number =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))?.[1]) * 1024;
  const before = resident();
  // Nobody takes the pieces of these: what is on the way fills the connections, and the daemon waits.
  const clients = Array.from({ length: 4 }, () => daemon.client(ContentDefinition));
  const streams = clients.map((client) => client.read({ digest, offset: 0n, size: 0n }));
  await Promise.all(streams.map((stream) => new Promise((resolve) => stream.once('readable', resolve))));
  // Were it not to wait, it would have read all of them by the time that another has been taken to its end.
  const other = daemon.client(ContentDefinition);
  clients.push(other);
  assert.equal((await collect(other.read({ digest, offset: 0n, size: 0n }))).length, 96);
  assert.ok(resident() - before < 3 * data.length, `grew by ${(resident() - before) >> 20} MiB`);

  const [first, ...rest] = streams;
  for (const stream of rest) stream.on('error', () => undefined).cancel();
  const sizes: number[] = [];
  for await (const piece of first ?? []) sizes.push(piece.data.length);
  assert.deepEqual([...new Set(sizes)], [1 << 20]);
  assert.equal(sizes.length, 96);
  for (const client of clients) client.close();
});

test('a full disk refuses what it cannot hold, and takes what it can', async (context) => {
  const folder = temporaryFolder();
  const store = join(folder, STORE);
  mkdirSync(store, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', store]);
  context.after(() => execFileSync('umount', ['-l', store]));
  const daemon = await start(context, { folder });
  const write = writeCall(daemon.address, [{ action: COMMIT, ref: 'r', data: Buffer.alloc(2 << 20) }]);
  await assert.rejects(write, { code: codes.resourceExhausted, details: /no space/ });
  await daemon.client(ContentDefinition).abort({ ref: 'r' });
  assert.equal(await putBlob(daemon.address, 'small'), digestOf('small'));
  await daemon.stop();
});

const image = (name: string, labels: Map<string, string>) => ({
  name,
  labels,
  target: { mediaType: 'm', digest: digestOf('x'), size: 1n, annotations: new Map<string, string>() },
  createdAt: undefined,
  updatedAt: undefined,
});
const under = (lease: string) => ({ metadata: { 'containerd-lease': lease } });

test('a lease holds an image only if it would expire, and gives it back with it', async (context) => {
  const daemon = await start(context);
  const images = daemon.client(ImagesDefinition);
  const leases = daemon.client(LeasesDefinition);
  const expiring = new Map([['containerd.io/gc.expire', '2099-01-01T00:00:00Z']]);
  const held = async () => (await leases.listResources({ id: 'l' })).resources.map(({ type, id }) => [type, id]);
  await leases.create({ id: 'l', labels: new Map() });
  await images.create({ image: image('plain', new Map()), sourceDateEpoch: undefined }, under('l'));
  await images.create({ image: image('expiring', expiring), sourceDateEpoch: undefined }, under('l'));
  assert.deepEqual(await held(), [['images', 'expiring']]);
  await images.update(
    { image: image('plain', expiring), updateMask: ['labels'], sourceDateEpoch: undefined },
    under('l'),
  );
  await images.delete({ name: 'expiring', sync: false, target: undefined }, under('l'));
  assert.deepEqual(await held(), [['images', 'plain']]);
  await assert.rejects(images.create({ image: image('x', expiring), sourceDateEpoch: undefined }, under('none')), {
    code: codes.notFound,
    details: 'lease does not exist: not found',
  });
});

test('an image takes the time that it is given, and is deleted only while it stands for what is named', async (context) => {
  const daemon = await start(context);
  const images = daemon.client(ImagesDefinition);
  const epoch = { seconds: 1_000_000n, nanos: 5 };
  const { image: made } = await images.create({ image: image('i', new Map()), sourceDateEpoch: epoch });
  assert.deepEqual([made?.createdAt, made?.updatedAt], [epoch, epoch]);
  const target = { mediaType: '', digest: digestOf('y'), size: 0n, annotations: new Map<string, string>() };
  await assert.rejects(images.delete({ name: 'i', sync: false, target }), { code: codes.notFound });
  await images.delete({ name: 'i', sync: false, target: { ...target, digest: digestOf('x') } });
  assert.deepEqual(await images.list({ filters: [] }), { images: [] });
});
