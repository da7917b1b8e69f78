import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { codes } from '../../common/errdefs.ts';
import { IntrospectionDefinition } from '../../proto/gen/containerd/services/introspection/v1/introspection.ts';
import { NamespacesDefinition } from '../../proto/gen/containerd/services/namespaces/v1/namespaces.ts';
import { type Info, SnapshotsDefinition } from '../../proto/gen/containerd/services/snapshots/v1/snapshots.ts';
import type { Mount } from '../../proto/gen/containerd/types/types.ts';
import { eventually } from '../harness/wait.ts';
import { mounted } from '../harness/snapshots.ts';
import {
  cleanUp,
  type Client,
  startDaemon,
  type StartOptions,
  temporaryFolder,
  type TestDaemon,
} from './daemon-harness.ts';

type Snapshots = Client<typeof SnapshotsDefinition>;

const started = async (context: TestContext, options?: StartOptions): Promise<TestDaemon> => {
  const daemon = await startDaemon(options);
  context.after(() => cleanUp(daemon));
  return daemon;
};

/** One that is killed as a crash would end it, and the next one on its root. */
const restarted = async (context: TestContext, daemon: TestDaemon): Promise<TestDaemon> => {
  await daemon.stop('SIGKILL');
  return started(context, { folder: daemon.folder });
};

const configured = async (context: TestContext, toml: (folder: string) => string): Promise<TestDaemon> => {
  const folder = temporaryFolder();
  const file = join(folder, 'c.toml');
  writeFileSync(file, toml(folder));
  return started(context, { folder, arguments: ['--config', file] });
};

const clientOf = (context: TestContext, daemon: TestDaemon): Snapshots => {
  const client = daemon.client(SnapshotsDefinition);
  context.after(() => client.close());
  return client;
};

const names = async (snapshots: Snapshots, snapshotter: string): Promise<string[]> => {
  const found: string[] = [];
  for await (const { info } of snapshots.list({ snapshotter, filters: [] }))
    found.push(...info.map((one: Info) => one.name));
  return found;
};

/** Or they would be collected at the next start. */
const ROOT = new Map([['containerd.io/gc.root', 'now']]);

const make = async (snapshots: Snapshots, snapshotter: string, key: string, parent = ''): Promise<Mount[]> =>
  (await snapshots.prepare({ snapshotter, key, parent, labels: ROOT })).mounts;

/** Makes a committed snapshot; gives its directory of files. */
const layer = async (
  snapshots: Snapshots,
  snapshotter: string,
  name: string,
  write: (place: string) => void = () => undefined,
): Promise<string> => {
  const [mount] = await make(snapshots, snapshotter, `extract ${name}`);
  const source = mount?.source ?? '';
  write(source);
  await snapshots.commit({ snapshotter, name, key: `extract ${name}`, labels: ROOT, parent: '' });
  return source;
};

const manyFiles = (place: string): void => {
  for (let folder = 0; folder < 40; folder += 1) {
    mkdirSync(join(place, `d${folder}`));
    for (let file = 0; file < 200; file += 1) writeFileSync(join(place, `d${folder}/f${file}`), 'content');
  }
};

const directories = (daemon: TestDaemon, snapshotter: string): string[] =>
  readdirSync(join(daemon.folder, `root/io.containerd.snapshotter.v1.${snapshotter}/snapshots`)).sort();

test('a daemon that is killed while it copies a snapshot leaves neither a key nor a directory', async (context) => {
  const first = await started(context);
  const before = clientOf(context, first);
  await layer(before, 'native', 'big', manyFiles);
  const there = directories(first, 'native');
  const call = make(before, 'native', 'copy', 'big').then(
    () => 'made',
    () => 'cut',
  );
  await eventually(() => directories(first, 'native').some((name) => name.startsWith('new-')), { everyMs: 1 });
  const second = await restarted(context, first);
  assert.equal(await call, 'cut');
  const snapshots = clientOf(context, second);
  assert.deepEqual(await names(snapshots, 'native'), ['big']);
  await eventually(() => directories(second, 'native').length === there.length, { what: 'the copy to be deleted' });
  assert.deepEqual(directories(second, 'native'), there);
  const [mount] = await make(snapshots, 'native', 'copy', 'big');
  assert.equal(readdirSync(mount?.source ?? '').length, 40);
});

test('a client that gives up while a snapshot is copied leaves neither a key nor a directory', async (context) => {
  const daemon = await started(context);
  const snapshots = clientOf(context, daemon);
  await layer(snapshots, 'native', 'big', manyFiles);
  const there = directories(daemon, 'native');
  const giveUp = new AbortController();
  const request = { snapshotter: 'native', key: 'copy', parent: 'big', labels: new Map() };
  const call = snapshots.prepare(request, { signal: giveUp.signal });
  const ended = assert.rejects(call, { code: codes.canceled });
  await eventually(() => directories(daemon, 'native').some((name) => name.startsWith('new-')), { everyMs: 1 });
  giveUp.abort();
  await ended;
  await eventually(() => directories(daemon, 'native').length === there.length, { what: 'the copy to be deleted' });
  assert.deepEqual(await names(snapshots, 'native'), ['big']);
});

test('what a removal left on the disk when the daemon was killed, the next one deletes', async (context) => {
  const first = await started(context);
  const before = clientOf(context, first);
  const source = await layer(before, 'overlayfs', 'big', manyFiles);
  await before.remove({ snapshotter: 'overlayfs', key: 'big' });
  const second = await restarted(context, first);
  assert.deepEqual(await names(clientOf(context, second), 'overlayfs'), []);
  await eventually(() => !existsSync(source), { what: `${source} to be deleted` });
  await eventually(() => directories(second, 'overlayfs').length === 0);
});

test('everything that was acknowledged is there after the daemon was killed', async (context) => {
  const first = await started(context);
  const before = clientOf(context, first);
  const key = { snapshotter: 'overlayfs', key: 'a' };
  await layer(before, 'overlayfs', 'base', (place) => writeFileSync(join(place, 'f'), 'x'));
  await make(before, 'overlayfs', 'a', 'base');
  await before.view({ snapshotter: 'overlayfs', key: 'v', parent: 'base', labels: new Map([['l', '1']]) });
  const told = async (to: Snapshots) => [
    await to.stat(key),
    await to.stat({ ...key, key: 'v' }),
    await to.mounts(key),
    await to.usage({ ...key, key: 'base' }),
  ];
  const expected = await told(before);
  const snapshots = clientOf(context, await restarted(context, first));
  assert.deepEqual(await told(snapshots), expected);
  const { mounts } = await snapshots.mounts(key);
  assert.deepEqual(await mounted(mounts, first.folder, (place) => readdirSync(place)), ['f']);
});

test('a start deletes directories that no snapshot has, and leaves what is not a directory of a snapshot', async (context) => {
  const first = await started(context);
  await layer(clientOf(context, first), 'overlayfs', 'base');
  const [kept = ''] = directories(first, 'overlayfs');
  const parent = join(first.folder, 'root/io.containerd.snapshotter.v1.overlayfs/snapshots');
  for (const name of ['777', 'new-778', 'lost+found']) mkdirSync(join(parent, name, 'fs'), { recursive: true });
  const second = await restarted(context, first);
  await eventually(() => !existsSync(join(parent, '777')) && !existsSync(join(parent, 'new-778')));
  assert.deepEqual(directories(second, 'overlayfs'), [kept, 'lost+found'].sort());
  assert.match(second.log(), /a directory that belongs to no snapshot is deleted/);
});

test('a snapshot whose directory was taken away is told of; nothing is built on it, and it can be removed', async (context) => {
  const first = await started(context);
  const source = await layer(clientOf(context, first), 'overlayfs', 'base');
  rmSync(join(source, '..'), { recursive: true });
  const second = await restarted(context, first);
  await eventually(() => second.log().includes('has lost its directory'));
  assert.match(second.log(), /"key":"base"/);
  const snapshots = clientOf(context, second);
  await assert.rejects(make(snapshots, 'overlayfs', 'a', 'base'), {
    code: codes.failedPrecondition,
    details: `failed to stat parent: ${source} is missing: remove the snapshot it belongs to and unpack the image again: failed precondition`,
  });
  await snapshots.remove({ snapshotter: 'overlayfs', key: 'base' });
  await layer(snapshots, 'overlayfs', 'base');
});

test("containerd's settings of its snapshotters are followed", async (context) => {
  const daemon = await configured(
    context,
    (folder) => `
[plugins."io.containerd.snapshotter.v1.overlayfs"]
  root_path = "${folder}/layers"
  mount_options = ["volatile"]
  upperdir_label = true
  sync_remove = true
[plugins."io.containerd.snapshotter.v1.native"]
  root_path = "${folder}/copies"
`,
  );
  const snapshots = clientOf(context, daemon);
  await layer(snapshots, 'overlayfs', 'base');
  const [mount] = await make(snapshots, 'overlayfs', 'a', 'base');
  assert.ok(mount !== undefined && mount.options.includes('volatile'));
  const upper = mount.options.find((option: string) => option.startsWith('upperdir='))?.slice('upperdir='.length) ?? '';
  assert.match(upper, new RegExp(`^${daemon.folder}/layers/snapshots/\\d+/fs$`));
  const { info } = await snapshots.stat({ snapshotter: 'overlayfs', key: 'a' });
  assert.equal(info?.labels.get('containerd.io/snapshot/overlay.upperdir'), upper);
  assert.equal(
    await mounted([mount], daemon.folder, (place) => readFileSync('/proc/self/mounts', 'utf8').includes(place)),
    true,
  );
  await snapshots.remove({ snapshotter: 'overlayfs', key: 'a' });
  assert.equal(existsSync(upper), false);
  const [copy] = await make(snapshots, 'native', 'a');
  assert.match(copy?.source ?? '', new RegExp(`^${daemon.folder}/copies/snapshots/\\d+$`));
});

test('no overlay is volatile unless that was asked for', async (context) => {
  const snapshots = clientOf(context, await started(context));
  await layer(snapshots, 'overlayfs', 'base');
  const [mount] = await make(snapshots, 'overlayfs', 'a', 'base');
  assert.deepEqual(
    mount?.options.filter((option) => !option.includes('dir=')),
    ['index=off'],
  );
});

test('the root of what is built on a layer has its owner and its mode', async (context) => {
  const daemon = await started(context);
  const snapshots = clientOf(context, daemon);
  for (const snapshotter of ['overlayfs', 'native']) {
    await layer(snapshots, snapshotter, 'base', (place) => {
      chownSync(place, 12, 34);
      chmodSync(place, 0o1730);
    });
    const mounts = await make(snapshots, snapshotter, 'a', 'base');
    const { uid, gid, mode } = await mounted(mounts, daemon.folder, (place) => statSync(place));
    assert.deepEqual([uid, gid, (mode & 0o7777).toString(8)], [12, 34, '1730'], snapshotter);
  }
});

test('overlayfs that cannot be used here is told of among the plugins, and native is there', async (context) => {
  const daemon = await configured(
    context,
    (folder) => `[plugins."io.containerd.snapshotter.v1.overlayfs"]\nroot_path = "${folder}/a:b"\n`,
  );
  const introspection = daemon.client(IntrospectionDefinition);
  context.after(() => introspection.close());
  const { plugins } = await introspection.plugins({ filters: ['type==io.containerd.snapshotter.v1'] });
  assert.deepEqual(
    plugins.map(({ id, initErr }) => [id, initErr?.code]),
    [
      ['native', undefined],
      ['overlayfs', codes.invalidArgument],
    ],
  );
  const snapshots = clientOf(context, daemon);
  await assert.rejects(make(snapshots, 'overlayfs', 'a'), {
    details: 'snapshotter not loaded: overlayfs: invalid argument',
  });
  await make(snapshots, 'native', 'a');
});

test('a list whose labels are more than a message may hold comes in several', async (context) => {
  const snapshots = clientOf(context, await started(context));
  const labels = new Map(Array.from({ length: 100 }, (_, index) => [`l${index}`, 'x'.repeat(4000)]));
  const keys = Array.from({ length: 50 }, (_, index) => `k${String(index).padStart(2, '0')}`);
  for (const key of keys) await snapshots.view({ snapshotter: 'overlayfs', key, parent: '', labels });
  assert.deepEqual(await names(snapshots, 'overlayfs'), keys); // 20 MB
});

test('a namespace with snapshots is not removed, and says what it has', async (context) => {
  const daemon = await started(context);
  await make(clientOf(context, daemon), 'native', 'a');
  const namespaces = daemon.client(NamespacesDefinition);
  context.after(() => namespaces.close());
  await assert.rejects(namespaces.delete({ name: 'test' }), {
    code: codes.failedPrecondition,
    details: 'namespace "test" must be empty, but it still has snapshots on "native" snapshotter: failed precondition',
  });
});
