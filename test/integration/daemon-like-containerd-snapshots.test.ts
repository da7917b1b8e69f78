import type { Mount } from '../../proto/gen/containerd/types/types.ts';
import { type Clients, longLabel, namespace, same } from './daemon-side-by-side.ts';

// The snapshots service of a real containerd and ours, call by call. Everything has the label that keeps containerd's
// collector away.

const ROOT: readonly [string, string] = ['containerd.io/gc.root', 'now'];
const labelled = (more: Record<string, string> = {}): Map<string, string> => new Map([ROOT, ...Object.entries(more)]);

type Snapshots = Clients['snapshots'];
type Action = (snapshots: Snapshots, to: Clients) => Promise<unknown>;

/** Places, numbers and backend keys differ between two daemons. */
const plainText = (text: string): string =>
  text
    .replaceAll(/\/[^:=]*?\/(io\.containerd\.snapshotter\.v1\.\w+\/snapshots\/)\d+/g, '<root>/$1<n>')
    .replaceAll(/\btest\/\d+\//g, 'test/<n>/');
const plain = (mounts: readonly Mount[]) =>
  mounts.map(({ type, source, options }) => ({ type, source: plainText(source), options: options.map(plainText) }));

const alike = (name: string, action: Action): void =>
  same(name, async (to) => {
    try {
      return await action(to.snapshots, to);
    } catch (error) {
      const { code, details } = error as { code?: number; details?: string };
      if (code === undefined || details === undefined) throw error;
      return { code, details: plainText(details) };
    }
  });

const infos = async (snapshots: Snapshots, filters: string[], snapshotter = 'overlayfs'): Promise<unknown[]> => {
  const all: unknown[] = [];
  for await (const { info } of snapshots.list({ snapshotter, filters })) all.push(...info);
  return all;
};

for (const snapshotter of ['overlayfs', 'native']) {
  const prepare = (snapshots: Snapshots, key: string, parent = '', labels = labelled()) =>
    snapshots.prepare({ snapshotter, key, parent, labels }).then(({ mounts }) => plain(mounts));
  const view = (snapshots: Snapshots, key: string, parent = '') =>
    snapshots.view({ snapshotter, key, parent, labels: labelled() }).then(({ mounts }) => plain(mounts));
  const commit = (snapshots: Snapshots, name: string, key: string, labels = labelled()) =>
    snapshots.commit({ snapshotter, name, key, labels, parent: '' });
  const check = (name: string, action: Action): void => alike(`${snapshotter}: ${name}`, action);

  check('one that is built on nothing', (to) =>
    prepare(to, 'a', '', labelled({ 'containerd.io/snapshot/x': '1', e: '' })),
  );
  check('its stat', (to) => to.stat({ snapshotter, key: 'a' }));
  check('its mounts', async (to) => plain((await to.mounts({ snapshotter, key: 'a' })).mounts));
  check('its usage', (to) => to.usage({ snapshotter, key: 'a' }));
  check('a view of nothing', (to) => view(to, 'v0'));
  check('the usage of a view', (to) => to.usage({ snapshotter, key: 'v0' }));
  check('a key that is taken', (to) => prepare(to, 'a'));
  check('a parent that is not there', (to) => prepare(to, 'b', 'none'));
  check('a parent that is not committed', (to) => prepare(to, 'b', 'a'));
  check('no key', (to) => prepare(to, ''));
  check('a label that is too long', (to) => prepare(to, 'b', '', new Map(longLabel)));
  check('a commit of what is not there', (to) => commit(to, 'c', 'none'));
  check('a commit of a view', (to) => commit(to, 'c', 'v0'));
  check('a commit to no name', (to) => commit(to, '', 'a'));
  check('a commit to its own key', (to) => commit(to, 'a', 'a'));
  check('a commit with a label that is too long', (to) => commit(to, 'c', 'a', new Map(longLabel)));
  check('a commit', (to) => commit(to, 'c', 'a', labelled({ 'containerd.io/snapshot/y': '2', other: '3' })));
  check('what was committed', (to) => to.stat({ snapshotter, key: 'c' }));
  check('its usage', (to) => to.usage({ snapshotter, key: 'c' }));
  check('its mounts', async (to) => plain((await to.mounts({ snapshotter, key: 'c' })).mounts));
  check('what it was before', (to) => to.stat({ snapshotter, key: 'a' }));
  check('a commit of what is committed', (to) => commit(to, 'd', 'c'));
  check('one of one layer', (to) => prepare(to, 'a', 'c'));
  check('a view of one layer', (to) => view(to, 'v1', 'c'));
  check('a commit to a name that is taken', (to) => commit(to, 'c', 'a'));
  check('a second layer', async (to) => commit(to, 'c2', 'a'));
  check('one of two layers', (to) => prepare(to, 'a2', 'c2'));
  check('a view of two layers', (to) => view(to, 'v2', 'c2'));
  check('a third layer', (to) => commit(to, 'c3', 'a2'));
  check('a view of three layers', (to) => view(to, 'v3', 'c3'));
  check('the removal of a parent', (to) => to.remove({ snapshotter, key: 'c' }));
  check('the removal of what is not there', (to) => to.remove({ snapshotter, key: 'none' }));
  check('the stat of what is not there', (to) => to.stat({ snapshotter, key: 'none' }));
  check('the mounts of what is not there', (to) => to.mounts({ snapshotter, key: 'none' }));
  check('the usage of what is not there', (to) => to.usage({ snapshotter, key: 'none' }));
  check('a target that is there', (to) => prepare(to, 'x', '', labelled({ 'containerd.io/snapshot.ref': 'c2' })));
  check('a target that is not there', (to) => prepare(to, 't', 'c', labelled({ 'containerd.io/snapshot.ref': 'tc' })));
  check('a lease that is not there', (to) =>
    to.prepare({ snapshotter, key: 'l', parent: '', labels: labelled() }, { metadata: { 'containerd-lease': 'none' } }),
  );
  check('a lease that is not there, in a commit', (to) =>
    to.commit(
      { snapshotter, name: 'l', key: 't', labels: labelled(), parent: '' },
      { metadata: { 'containerd-lease': 'none' } },
    ),
  );
  check('a lease that is not there, in a removal', (to) =>
    to.remove({ snapshotter, key: 'v3' }, { metadata: { 'containerd-lease': 'none' } }),
  );

  for (const [mask, labels] of [
    [['labels.one'], { one: '1', two: '2' }],
    [['labels.one'], {}],
    [['labels.one', 'labels.x.y/z'], { one: '', 'x.y/z': '3' }],
    [['labels'], { all: '1', 'containerd.io/gc.root': 'now' }],
    [[], { new: '1', empty: '', 'containerd.io/gc.root': 'now' }],
    [['parent'], {}],
    [['name'], {}],
    [[''], {}],
    [['labels'], { k: 'x'.repeat(5000) }],
  ] as const) {
    check(`an update of ${JSON.stringify(mask)} to ${JSON.stringify(labels).slice(0, 40)}`, (to) =>
      to.update({
        snapshotter,
        info: { ...INFO, name: 'c2', labels: new Map(Object.entries(labels)) },
        updateMask: [...mask],
      }),
    );
  }
  check('an update of what is not there', (to) =>
    to.update({ snapshotter, info: { ...INFO, name: 'none' }, updateMask: [] }),
  );
  check('an update of no name', (to) => to.update({ snapshotter, info: INFO, updateMask: [] }));
  check('all of them', (to) => infos(to, [], snapshotter));
  for (const filter of [
    'kind==active',
    'kind==view',
    'kind==committed',
    'kind==none',
    'name==c2',
    'name~=^v',
    'parent==c',
    'parent',
    'parent!=c',
    'labels.new',
    'labels."containerd.io/gc.root"==now',
    'id==a',
    'created',
    'kind==view,parent==c2',
    '',
  ]) {
    check(`filter ${JSON.stringify(filter)}`, (to) => infos(to, [filter], snapshotter));
  }
  check('a filter that is none', (to) => infos(to, ['name=='], snapshotter));
  check('a removal', async (to) => {
    for (const key of ['t', 'v2', 'c3']) await to.remove({ snapshotter, key });
    return infos(to, [], snapshotter);
  });
}

alike('no snapshotter', (to) => to.stat({ snapshotter: '', key: 'a' }));
alike('a snapshotter that is not there', (to) => to.stat({ snapshotter: 'none', key: 'a' }));
alike('the list of one that is not there', (to) => infos(to, [], 'none'));
for (const name of ['', '../x']) {
  alike(`a stat in namespace ${JSON.stringify(name)}`, (to) =>
    to.stat({ snapshotter: 'overlayfs', key: 'a' }, namespace(name)),
  );
  alike(`a prepare in namespace ${JSON.stringify(name)}`, (to) =>
    to.prepare({ snapshotter: 'overlayfs', key: 'a', parent: '', labels: new Map() }, namespace(name)),
  );
  alike(`a list in namespace ${JSON.stringify(name)}`, async (to) => {
    for await (const { info } of to.list({ snapshotter: 'overlayfs', filters: [] }, namespace(name))) return info;
    return 'nothing';
  });
}
alike('a lease holds what is made under it', async (to, { leases }) => {
  const metadata = { metadata: { 'containerd-lease': 'held' } };
  await leases.create({ id: 'held', labels: new Map() });
  await to.prepare({ snapshotter: 'overlayfs', key: 'la', parent: '', labels: labelled() }, metadata);
  await to.view({ snapshotter: 'overlayfs', key: 'lv', parent: '', labels: labelled() }, metadata);
  const before = (await leases.listResources({ id: 'held' })).resources;
  await to.commit({ snapshotter: 'overlayfs', name: 'lc', key: 'la', labels: labelled(), parent: '' }, metadata);
  await to.remove({ snapshotter: 'overlayfs', key: 'lv' }, metadata);
  return [before, (await leases.listResources({ id: 'held' })).resources];
});
alike('a namespace that has snapshots is not removed', (_, { namespaces }) => namespaces.delete({ name: 'test' }));

const INFO = { name: '', parent: '', kind: 0, createdAt: undefined, updatedAt: undefined, labels: new Map() } as const;
