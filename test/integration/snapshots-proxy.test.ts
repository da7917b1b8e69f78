import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, test, type TestContext } from 'node:test';
import { codes } from '../../common/errdefs.ts';
import { FileWorkers } from '../../daemon/snapshots/file-workers.ts';
import { overlayfs } from '../../daemon/snapshots/overlayfs.ts';
import type { Caller, Snapshotter } from '../../daemon/snapshots/snapshotter.ts';
import { StoredSnapshotter } from '../../daemon/snapshots/stored-snapshotter.ts';
import { leaseStore } from '../../daemon/leases/store.ts';
import { namespaceStore } from '../../daemon/namespaces/store.ts';
import { IntrospectionDefinition } from '../../proto/gen/containerd/services/introspection/v1/introspection.ts';
import { SnapshotsDefinition } from '../../proto/gen/containerd/services/snapshots/v1/snapshots.ts';
import { serveSnapshotters, withTargets } from '../harness/external-snapshotter.ts';
import { must } from '../harness/exec.ts';
import { mounted } from '../harness/snapshots.ts';
import { eventually } from '../harness/wait.ts';
import { silent, type TestStore, testStore } from '../unit/daemon-harness.ts';
import { cleanUp, type Client, startDaemon, temporaryFolder, type TestDaemon } from './daemon-harness.ts';

// A daemon with `[proxy_plugins.elsewhere]`, whose snapshotter is in another process: this one.

const folder = temporaryFolder();
const socket = join(folder, 'elsewhere.sock');
const threads = { workers: new FileWorkers(1), deleting: new FileWorkers(1) };
let store: TestStore;
let external: Snapshotter;
let served: { stop(): void };
/** What the external snapshotter's Prepare waits for. */
let gate: Promise<void>;

const serve = async (): Promise<void> => {
  const held: Snapshotter = new Proxy(withTargets(external), {
    get: (object, property) => {
      if (property !== 'prepare') return Reflect.get(object, property, object) as unknown;
      return async (...given: Parameters<Snapshotter['prepare']>) => {
        const mounts = await object.prepare(...given);
        await gate;
        return mounts;
      };
    },
  });
  rmSync(socket, { force: true });
  served = await serveSnapshotters(socket, new Map([['elsewhere', held]]));
};

before(async () => {
  store = await testStore();
  const { db, events } = store;
  const settings = { root: join(folder, 'layers'), mountOptions: [], upperdirLabel: false, syncRemove: false };
  const parts = { db, events, leases: leaseStore(db), namespaces: namespaceStore(db, []), log: silent };
  external = new StoredSnapshotter(parts, { ...(await overlayfs(settings, threads)), name: 'elsewhere' });
  await serve();
});
beforeEach(() => void (gate = Promise.resolve()));
after(async () => {
  served.stop();
  await external.close();
  await Promise.all([threads.workers.close(), threads.deleting.close()]);
  await store[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const started = async (context: TestContext, of?: TestDaemon): Promise<TestDaemon> => {
  const config = join(folder, 'c.toml');
  writeFileSync(config, `[proxy_plugins.elsewhere]\ntype = "snapshot"\naddress = "${socket}"\n`);
  const arguments_ = ['--config', config];
  const daemon = await startDaemon({ arguments: arguments_, ...(of === undefined ? {} : { folder: of.folder }) });
  context.after(() => cleanUp(daemon));
  return daemon;
};

type Snapshots = Client<typeof SnapshotsDefinition>;
const clientOf = (context: TestContext, daemon: TestDaemon): Snapshots => {
  const client = daemon.client(SnapshotsDefinition);
  context.after(() => client.close());
  return client;
};

const snapshotter = 'elsewhere';
const inNamespace = (name: string) => ({ metadata: { 'containerd-namespace': name } });
const ref = (target: string) => new Map([['containerd.io/snapshot.ref', target]]);

/** Keys that the external snapshotter has of a namespace. */
const keys = async (namespace: string): Promise<string[]> => {
  const caller: Caller = { namespace, lease: undefined, signal: new AbortController().signal };
  const found: string[] = [];
  for await (const { name } of external.walk(caller, () => true)) found.push(name);
  return found;
};

test('ctr works on an external snapshotter, which is told keys that are unique over all namespaces', async (context) => {
  const daemon = await started(context);
  const ctr = (...args: string[]): Promise<string> =>
    must('ctr', ['-a', daemon.address, '-n', 'one', 'snapshots', '--snapshotter', snapshotter, ...args]);
  await ctr('prepare', 'extract');
  await ctr('commit', 'layer', 'extract');
  await ctr('prepare', 'a', 'layer');
  await ctr('view', 'v', 'layer');
  assert.match(await ctr('ls'), /^KEY +PARENT +KIND +\na +layer +Active +\nlayer +Committed +\nv +layer +View +\n$/);
  assert.match(await ctr('mounts', '/mnt', 'a'), new RegExp(`lowerdir=${folder}/layers/snapshots/`));
  const shapes = (await keys('one')).map((key) => key.replace(/\d+/, 'N'));
  assert.deepEqual(shapes.sort(), ['one/N/a', 'one/N/layer', 'one/N/v']);
  await ctr('rm', 'a');
  await ctr('rm', 'v');
  await ctr('rm', 'layer');
  await eventually(async () => (await keys('one')).length === 0, { what: 'all to be removed there' });
});

test('it is among the plugins, with its address', async (context) => {
  const introspection = (await started(context)).client(IntrospectionDefinition);
  context.after(() => introspection.close());
  const { plugins } = await introspection.plugins({ filters: ['id==elsewhere'] });
  assert.deepEqual(
    plugins.map(({ type, platforms, capabilities, exports }) => ({
      type,
      platforms,
      capabilities,
      exports: [...exports],
    })),
    [{ type: 'io.containerd.snapshotter.v1', platforms: [], capabilities: [], exports: [['address', socket]] }],
  );
});

test('a snapshot that it has already is there after the refusal that says so, with its labels', async (context) => {
  const snapshots = clientOf(context, await started(context));
  const request = { snapshotter, key: 'extract', parent: '', labels: ref('sha256:1') };
  await assert.rejects(snapshots.prepare(request, inNamespace('two')), {
    code: codes.alreadyExists,
    details: 'target snapshot "sha256:1" from snapshotter: already exists',
  });
  const { info } = await snapshots.stat({ snapshotter, key: 'sha256:1' }, inNamespace('two'));
  assert.deepEqual([info?.name, info?.kind, info?.labels.get('containerd.io/snapshot/by')], ['sha256:1', 3, 'itself']);
  await assert.rejects(snapshots.prepare(request, inNamespace('two')), {
    details: 'target snapshot "sha256:1": already exists',
  });
  await assert.rejects(snapshots.stat({ snapshotter, key: 'extract' }, inNamespace('two')), { code: codes.notFound });
  const child = { snapshotter, key: 'a', parent: 'sha256:1', labels: new Map<string, string>() };
  const { mounts } = await snapshots.prepare(child, inNamespace('two'));
  assert.deepEqual(await mounted(mounts, folder, (place) => readdirSync(place)), []);
  for (const key of ['a', 'sha256:1']) await snapshots.remove({ snapshotter, key }, inNamespace('two'));
  await eventually(async () => (await keys('two')).length === 0, { what: 'all to be removed there' });
});

test('a Prepare in the middle of which the daemon is killed leaves nothing there', async (context) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  gate = promise;
  context.after(() => resolve());
  const first = await started(context);
  const request = { snapshotter, key: 'a', parent: '', labels: new Map<string, string>() };
  const call = assert.rejects(clientOf(context, first).prepare(request, inNamespace('three')));
  await eventually(async () => (await keys('three')).length === 1, { what: 'it to be prepared there' });
  await first.stop('SIGKILL');
  await call;
  await started(context, first);
  await eventually(async () => (await keys('three')).length === 0, { what: 'it to be removed there' });
});

test('while it is down calls are Unavailable, and what was to be removed is removed by the next cleanup', async (context) => {
  const snapshots = clientOf(context, await started(context));
  const request = { snapshotter, key: 'a', parent: '', labels: new Map<string, string>() };
  await snapshots.prepare(request, inNamespace('four'));
  served.stop();
  await assert.rejects(snapshots.mounts({ snapshotter, key: 'a' }, inNamespace('four')), { code: codes.unavailable });
  await snapshots.remove({ snapshotter, key: 'a' }, inNamespace('four'));
  await serve();
  await eventually(async () => {
    await snapshots.cleanup({ snapshotter }, inNamespace('four'));
    return (await keys('four')).length === 0;
  });
  await snapshots.prepare(request, inNamespace('four'));
});

test('a Prepare whose client gives up leaves nothing there, however late it comes to its end', async (context) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  gate = promise;
  const snapshots = clientOf(context, await started(context));
  const giveUp = new AbortController();
  const request = { snapshotter, key: 'a', parent: '', labels: new Map<string, string>() };
  const call = snapshots.prepare(request, { ...inNamespace('five'), signal: giveUp.signal });
  const ended = assert.rejects(call, { code: codes.canceled });
  await eventually(async () => (await keys('five')).length === 1, { what: 'it to be prepared there' });
  giveUp.abort();
  await ended;
  resolve();
  await eventually(async () => (await keys('five')).length === 0, { what: 'it to be removed there' });
  await assert.rejects(snapshots.stat({ snapshotter, key: 'a' }, inNamespace('five')), { code: codes.notFound });
});
