import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Definition } from '../../daemon/call.ts';
import { type Container, ContainersDefinition } from '../../proto/gen/containerd/services/containers/v1/containers.ts';
import { LeasesDefinition } from '../../proto/gen/containerd/services/leases/v1/leases.ts';
import { NamespacesDefinition } from '../../proto/gen/containerd/services/namespaces/v1/namespaces.ts';
import { HealthDefinition } from '../../proto/gen/grpc/health/v1/health.ts';
import { cleanUp, startDaemon, type TestDaemon } from './daemon-harness.ts';

let daemon: TestDaemon;
before(async () => {
  daemon = await startDaemon({ arguments: ['--log-level', 'debug'] });
});
after(() => cleanUp(daemon));

const container = (id: string, more: Partial<Container> = {}): Container => ({
  id,
  labels: new Map(),
  image: '',
  runtime: { name: 'io.containerd.runc.v2', options: undefined },
  spec: { typeUrl: 'types.containerd.io/opencontainers/runtime-spec/1/Spec', value: Buffer.from('{}') },
  snapshotter: '',
  snapshotKey: '',
  createdAt: undefined,
  updatedAt: undefined,
  extensions: new Map(),
  sandbox: '',
  ...more,
});

test('a request that is no protobuf is refused as INTERNAL, and the daemon goes on', async () => {
  const raw = { encode: (bytes: Uint8Array) => ({ finish: () => bytes }), decode: (bytes: Uint8Array) => bytes };
  const { get } = ContainersDefinition.methods;
  const definition = { ...ContainersDefinition, methods: { get: { ...get, requestType: raw } } } satisfies Definition;
  const client = daemon.client(definition);
  await assert.rejects(client.get(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff])), { code: 13 });
  await assert.rejects(daemon.client(ContainersDefinition).get({ id: 'none' }), { code: 5 });
});

test('a request of more than 16 MiB is refused with RESOURCE_EXHAUSTED, one just below is served', async () => {
  const client = daemon.client(ContainersDefinition);
  const spec = (bytes: number) => ({ typeUrl: 'x', value: Buffer.alloc(bytes) });
  await assert.rejects(client.create({ container: container('huge', { spec: spec(16 << 20) }) }), { code: 8 });
  await client.create({ container: container('large', { spec: spec((16 << 20) - 1000) }) });
  await client.delete({ id: 'large' });
});

test('a list of more than 16 MiB breaks List alone: ListStream gives it whole', async () => {
  const client = daemon.client(ContainersDefinition);
  const metadata = { 'containerd-namespace': 'many' };
  const spec = { typeUrl: 'x', value: Buffer.alloc(1 << 20) };
  for (let index = 0; index < 20; index += 1) {
    await client.create({ container: container(`c${index}`, { spec }) }, { metadata });
  }
  await assert.rejects(client.list({ filters: [] }, { metadata }), { code: 8 });
  const found = new Set<string>();
  for await (const message of client.listStream({ filters: [] }, { metadata })) {
    found.add((message as { container: Container }).container.id);
  }
  assert.equal(found.size, 20);
});

test('a call whose deadline passes ends with DEADLINE_EXCEEDED, and its handler ends too', async () => {
  const watch = daemon.client(HealthDefinition).watch({ service: '' }, { deadlineMs: 100 });
  watch.on('data', () => undefined);
  const [error] = (await once(watch, 'error')) as [{ code: number }];
  assert.equal(error.code, 4);
  await sleep(50);
  assert.match(daemon.log(), /Health\/Watch".*"call ended"/);
});

test('a client that goes away ends its streams', async () => {
  const client = daemon.client(HealthDefinition);
  const watch = client.watch({ service: 'of a client that goes' });
  watch.on('error', () => undefined);
  await once(watch, 'data');
  const ended = (): number => daemon.log().split('"call ended"').length;
  const before = ended();
  client.close();
  watch.cancel();
  for (let waited = 0; ended() === before; waited += 10) {
    assert.ok(waited < 2000);
    await sleep(10);
  }
});

test('a call is logged with its namespace, its container and how long it took', async () => {
  await assert.rejects(daemon.client(ContainersDefinition).delete({ id: 'to-be-logged' }), { code: 5 });
  while (!daemon.log().includes('to-be-logged')) await sleep(10);
  const line =
    daemon
      .log()
      .split('\n')
      .find((text) => text.includes('to-be-logged')) ?? '';
  const { call, namespace, container: about, durationMs } = JSON.parse(line) as Record<string, unknown>;
  assert.deepEqual(
    [call, namespace, about, typeof durationMs],
    ['/containerd.services.containers.v1.Containers/Delete', 'test', 'to-be-logged', 'number'],
  );
});

test('a method that is not there is UNIMPLEMENTED', async () => {
  const absent = { ...NamespacesDefinition, fullName: 'containerd.services.absent.v1.Absent' };
  await assert.rejects(daemon.client(absent).get({ name: 'x' }), { code: 12 });
});

test('an error that repeats something huge is cut in its middle, and keeps its end', async () => {
  const error = await daemon
    .client(ContainersDefinition)
    .get({ id: '😀'.repeat(100_000) })
    .then(
      () => assert.fail('found'),
      (thrown: { code: number; details: string }) => thrown,
    );
  assert.equal(error.code, 5);
  assert.ok(Buffer.byteLength(error.details) <= 4096);
  assert.match(error.details, /^container "😀.*: not found$/u);
});

test('names such as __proto__ are data in ids, labels, extensions and namespaces', async () => {
  const client = daemon.client(ContainersDefinition);
  const labels = new Map([
    ['__proto__', 'a'],
    ['constructor', 'b'],
    ['toString', 'c'],
  ]);
  const extensions = new Map([['__proto__', { typeUrl: 'x', value: Buffer.from('y') }]]);
  for (const namespace of ['constructor', 'valueOf']) {
    const metadata = { 'containerd-namespace': namespace };
    await client.create({ container: container('toString', { labels, extensions }) }, { metadata });
    const { container: found } = await client.get({ id: 'toString' }, { metadata });
    assert.deepEqual(found?.labels, labels);
    assert.deepEqual([...(found?.extensions.keys() ?? [])], ['__proto__']);
    const { containers } = await client.list({ filters: ['labels.__proto__==a'] }, { metadata });
    assert.equal(containers.length, 1);
  }
  const { containers } = await client.list(
    { filters: ['labels.hasOwnProperty'] },
    { metadata: { 'containerd-namespace': 'valueOf' } },
  );
  assert.equal(containers.length, 0);
});

test('an update without a mask replaces what may change, and refuses what may not', async () => {
  const client = daemon.client(ContainersDefinition);
  const extension = { typeUrl: 'x', value: Buffer.from('y') };
  await client.create({
    container: container('whole', {
      labels: new Map([['old', '1']]),
      extensions: new Map([['e', extension]]),
      image: 'old',
    }),
  });
  const changed = container('whole', {
    labels: new Map([
      ['new', '1'],
      ['empty', ''],
    ]),
    image: 'new',
  });
  const { container: updated } = await client.update({ container: changed, updateMask: undefined });
  assert.deepEqual([...(updated?.labels ?? [])], [['new', '1']]);
  assert.equal(updated?.extensions.size, 0);
  assert.equal(updated?.image, 'new');
  const other = container('whole', { runtime: { name: 'other', options: undefined } });
  await assert.rejects(client.update({ container: other, updateMask: undefined }), {
    code: 3,
    details: 'container.Runtime.Name field is immutable: invalid argument',
  });
});

test('created_at stays, updated_at moves, to the nanosecond', async () => {
  const client = daemon.client(ContainersDefinition);
  const { container: made } = await client.create({ container: container('times') });
  const { container: updated } = await client.update({
    container: container('times', { image: 'x' }),
    updateMask: ['image'],
  });
  assert.deepEqual(updated?.createdAt, made?.createdAt);
  assert.notDeepEqual(updated?.updatedAt, made?.updatedAt);
});

test('what was acknowledged is there after kill -9, and so is every other row of its kind', async (context) => {
  const first = await startDaemon();
  context.after(() => cleanUp(first));
  const clients = (from: TestDaemon) => ({
    containers: from.client(ContainersDefinition),
    leases: from.client(LeasesDefinition),
    namespaces: from.client(NamespacesDefinition),
  });
  const { containers, leases, namespaces } = clients(first);
  const made = await Promise.all(
    Array.from({ length: 50 }, (_, index) => containers.create({ container: container(`c${index}`) })),
  );
  await leases.create({
    id: '/a lease/with slashes',
    labels: new Map([['containerd.io/gc.expire', '2030-01-01T00:00:00Z']]),
  });
  await leases.addResource({ id: '/a lease/with slashes', resource: { type: 'snapshots/overlayfs', id: 'k' } });
  await namespaces.create({ namespace: { name: 'labelled', labels: new Map([['a', 'b']]) } });
  await first.stop('SIGKILL');

  const second = await startDaemon({ folder: first.folder });
  context.after(() => cleanUp(second));
  const again = clients(second);
  assert.equal((await again.containers.list({ filters: [] })).containers.length, made.length);
  assert.deepEqual((await again.leases.listResources({ id: '/a lease/with slashes' })).resources, [
    { type: 'snapshots/overlayfs', id: 'k' },
  ]);
  assert.deepEqual(
    (await again.namespaces.list({ filter: '' })).namespaces.map(({ name }) => name),
    ['labelled', 'test'],
  );
});
