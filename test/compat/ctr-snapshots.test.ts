import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { ContainersDefinition } from '../../proto/gen/containerd/services/containers/v1/containers.ts';
import { NO_COLLECTION } from '../harness/containerd.ts';
import { must } from '../harness/exec.ts';
import { testBed } from '../harness/temp.ts';
import { compareSides, type Side } from './sides.ts';

// `ctr snapshots` on containerd and on ours.

const bed = testBed();
// ctr protects no view from the collector.
const compare = compareSides(bed, { theirs: NO_COLLECTION });

/** Numbers of directories are a daemon's own affair. */
const numbered = (text: string): string => text.replaceAll(/(\/snapshots\/)\d+/g, '$1<n>');

const snapshots = async (side: Side, ...args: readonly string[]) => {
  const { status, stdout, stderr } = await side.ctr.run(['snapshots', ...args]);
  return { status, stdout: numbered(stdout).replaceAll(side.daemon.root, '<root>'), stderr };
};

/** Mounts what `ctr snapshots mounts` says, with the shell command that it prints, and unmounts. */
const mounted = async <T>(side: Side, key: string, use: (place: string) => T): Promise<T> => {
  const place = bed.folder(side.daemon.name, 'mounted');
  await must('sh', ['-ec', await side.ctr.ok('snapshots', 'mounts', place, key)]);
  try {
    return use(place);
  } finally {
    await must('umount', [place]);
  }
};

const layer = async (side: Side, name: string, parent: string, content: string): Promise<void> => {
  await side.ctr.ok('snapshots', 'prepare', `extract-${name}`, ...(parent === '' ? [] : [parent]));
  await mounted(side, `extract-${name}`, (place) => writeFileSync(`${place}/${name}`, content));
  await side.ctr.ok('snapshots', 'commit', name, `extract-${name}`);
};

const clear = async (side: Side): Promise<void> => {
  const [, ...rows] = (await side.ctr.ok('snapshots', 'ls')).trimEnd().split('\n');
  const names = rows.map((row) => row.split(/\s+/)[0] ?? '');
  // Those that others are built on go last.
  for (let left = names; left.length > 0;) {
    const refused: string[] = [];
    let said = '';
    for (const name of left) {
      const { status, stderr } = await side.ctr.run(['snapshots', 'rm', name]);
      if (status !== 0) refused.push(name);
      said += stderr;
    }
    assert.ok(refused.length < left.length, `cannot be removed: ${said}`);
    left = refused;
  }
};

const alike = <T>(promise: string, act: (side: Side) => Promise<T>, check: (seen: T) => void): void =>
  compare(
    promise,
    async (side) => {
      try {
        return await act(side);
      } finally {
        await clear(side);
      }
    },
    check,
  );

alike(
  'prepare, mounts, commit, view, ls, tree, info, usage',
  async (side) => {
    await layer(side, 'base', '', 'one');
    await layer(side, 'top', 'base', 'two');
    return {
      prepare: await snapshots(side, 'prepare', '--mounts', 'a', 'top'),
      target: await snapshots(side, 'prepare', '--target', '/mnt', 'b', 'top'),
      view: await snapshots(side, 'view', '--target', '/mnt', 'v', 'top'),
      mounts: await snapshots(side, 'mounts', '/mnt', 'a'),
      ls: await snapshots(side, 'ls'),
      tree: await snapshots(side, 'tree'),
      usage: await snapshots(side, 'usage'),
      some: await snapshots(side, 'usage', '-b', 'top', 'base'),
      info: JSON.parse((await snapshots(side, 'info', 'top')).stdout) as unknown,
      files: await mounted(side, 'v', (place) =>
        readdirSync(place)
          .sort((a, b) => a.localeCompare(b))
          .map((name) => readFileSync(`${place}/${name}`, 'utf8')),
      ),
    };
  },
  ({ ls, tree, files, target }) => {
    assert.match(ls.stdout, /^KEY +PARENT +KIND +\na +top +Active +\nb +top +Active +\nbase +Committed +\n/);
    assert.match(tree.stdout, /base\n {2}\\_ top\n/);
    assert.match(target.stdout, /lowerdir=.*\/fs:.*\/fs/);
    assert.deepEqual(files, ['one', 'two']);
  },
);

alike(
  'native: prepare, commit, view, usage',
  async (side) => {
    const native = (...args: string[]) => snapshots(side, '--snapshotter', 'native', ...args);
    const seen = [
      await native('prepare', '--target', '/mnt', 'a'),
      await native('commit', 'c', 'a'),
      await native('prepare', '--target', '/mnt', 'b', 'c'),
      await native('view', '--target', '/mnt', 'v', 'c'),
      await native('ls'),
      await native('usage'),
      await native('rm', 'c'),
      await native('rm', 'v', 'b'),
      await native('rm', 'c'),
      await native('ls'),
    ];
    return seen;
  },
  (seen) =>
    assert.deepEqual(
      seen.map(({ status }) => status),
      [0, 0, 0, 0, 0, 0, 1, 0, 0, 0],
    ),
);

alike(
  'what is refused reads the same',
  async (side) => {
    await layer(side, 'base', '', 'x');
    await side.ctr.ok('snapshots', 'prepare', 'a', 'base');
    return [
      await snapshots(side, 'prepare', 'a', 'base'),
      await snapshots(side, 'prepare', 'b', 'none'),
      await snapshots(side, 'commit', 'base', 'a'),
      await snapshots(side, 'commit', 'x', 'none'),
      await snapshots(side, 'rm', 'base'),
      await snapshots(side, 'rm', 'none'),
      await snapshots(side, 'info', 'none'),
      await snapshots(side, 'usage', 'none'),
      await snapshots(side, 'mounts', '/mnt', 'none'),
      await snapshots(side, '--snapshotter', 'none', 'ls'),
      await snapshots(side, '--snapshotter', 'none', 'prepare', 'x'),
    ];
  },
  (seen) => {
    assert.ok(seen.every(({ status }) => status === 1));
    assert.match(seen[0]?.stderr ?? '', /snapshot "a": already exists/);
    assert.match(seen[4]?.stderr ?? '', /cannot remove snapshot with child: failed precondition/);
  },
);

alike(
  'label sets, changes and clears',
  async (side) => {
    await side.ctr.ok('snapshots', 'prepare', 'a');
    const seen = [
      await snapshots(side, 'label', 'a', 'one=1', 'two=2'),
      await snapshots(side, 'label', 'a', 'one=3', 'a.b/c=d'),
      await snapshots(side, 'label', 'a', 'two='),
      await snapshots(side, 'label', 'none', 'x=y'),
    ];
    // In the order of a Go map.
    return seen.map(({ stdout, ...rest }) => ({
      ...rest,
      labels: stdout
        .replace(/gc\.root=[^,\n]+/, 'gc.root=<time>')
        .trim()
        .split(',')
        .toSorted(),
    }));
  },
  (seen) => assert.deepEqual(seen[2]?.labels, ['a.b/c=d', 'containerd.io/gc.root=<time>', 'one=3'].toSorted()),
);

alike(
  'events tell of what is prepared, committed and removed, and of no view',
  async (side) => {
    const events = side.ctr.attach(['events']);
    await side.ctr.ok('namespaces', 'create', `${side.daemon.namespace}-seen`);
    await events.says('/namespaces/create');
    await layer(side, 'c', '', '');
    await side.ctr.ok('snapshots', 'view', 'v', 'c');
    await side.ctr.ok('snapshots', 'rm', 'v');
    await side.ctr.ok('snapshots', 'rm', 'c');
    await events.says(/snapshot\/remove.*"c"/);
    await side.ctr.ok('namespaces', 'rm', `${side.daemon.namespace}-seen`);
    events.signal('SIGTERM');
    const { stdout } = await events.end();
    return stdout
      .split('\n')
      .filter((line) => line.includes('/snapshot/'))
      .map((line) => line.split(' ').slice(5).join(' '));
  },
  (seen) =>
    assert.deepEqual(
      seen.map((line) => /\/snapshot\/\w+/.exec(line)?.[0]),
      ['/snapshot/prepare', '/snapshot/commit', '/snapshot/remove', '/snapshot/remove'],
    ),
);

alike(
  'the directories have the same owners and modes',
  async (side) => {
    await layer(side, 'base', '', 'x');
    await side.ctr.ok('snapshots', 'prepare', 'a', 'base');
    const mounts = await side.ctr.ok('snapshots', 'mounts', '/mnt', 'a');
    const directory = (name: string): string => new RegExp(`${name}=([^,: ]+)`).exec(mounts)?.[1] ?? '';
    const upper = directory('upperdir');
    const paths = [upper, directory('workdir'), `${upper}/..`, `${upper}/../..`, `${upper}/../../..`];
    return paths.map((path) => [statSync(path).mode.toString(8), statSync(path).uid]);
  },
  (seen) =>
    assert.deepEqual(seen.slice(0, 2), [
      ['40755', 0],
      ['40711', 0],
    ]),
);

compare(
  'plugins ls tells of the snapshotters in the same words',
  async (side) => {
    const filter = 'type==io.containerd.snapshotter.v1,id~=^(native|overlayfs)$';
    const detailed = await side.ctr.ok('plugins', 'ls', '-d', filter);
    return {
      ls: await side.ctr.ok('plugins', 'ls', filter),
      detailed: detailed.replaceAll(side.daemon.root, '<root>'),
    };
  },
  ({ ls }) => assert.match(ls, /io\.containerd\.snapshotter\.v1 +overlayfs +linux\/amd64 +ok/),
);

alike(
  'tasks start mounts the snapshot that a container names, and containers rm removes it',
  async (side) => {
    await side.ctr.ok('snapshots', 'prepare', 'extract');
    await mounted(side, 'extract', (place) => cpSync(side.rootfs, place, { recursive: true, verbatimSymlinks: true }));
    await side.ctr.ok('snapshots', 'commit', 'busybox', 'extract');
    await layer(side, 'top', 'busybox', 'of the top');
    await side.ctr.ok('snapshots', 'prepare', 'c', 'top');
    await side.create('c', ['/bin/sh', '-c', 'cat /top; echo written > /made; rm /top'], (spec) => {
      (spec as { root?: unknown }).root = { path: 'rootfs' };
    });
    const client = side.daemon.client();
    const { container } = await client.service(ContainersDefinition).get({ id: 'c' });
    await side.ctr.ok('containers', 'rm', 'c');
    await client.service(ContainersDefinition).create({
      container: { ...required(container), snapshotter: 'overlayfs', snapshotKey: 'c' },
    });
    client.close();
    const started = await side.ctr.run(['tasks', 'start', 'c']);
    const left = await mounted(side, 'c', (place) => [
      readFileSync(`${place}/made`, 'utf8'),
      existsSync(`${place}/top`),
    ]);
    await side.ctr.ok('containers', 'rm', 'c');
    return { started, left, ls: await snapshots(side, 'ls') };
  },
  ({ started, left, ls }) => {
    assert.deepEqual([started.status, started.stdout, left], [0, 'of the top', ['written\n', false]]);
    assert.doesNotMatch(ls.stdout, /^c /m);
  },
);

const required = <T>(value: T | undefined): T => {
  assert.ok(value !== undefined);
  return value;
};
