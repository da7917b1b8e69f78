import { comparable, container, longLabel, namespace, same, spec } from './daemon-side-by-side.ts';

for (const name of ['', '../x', '-a', 'x'.repeat(77)]) {
  same(`a call in namespace ${JSON.stringify(name)}`, (to) => to.containers.list({ filters: [] }, namespace(name)));
}

for (const [name, wrong] of Object.entries({
  'no id': { id: '' },
  'an id with a slash': { id: 'a/b' },
  'an id that begins with a dash': { id: '-a' },
  'an id of 77 characters': { id: 'x'.repeat(77) },
  'no runtime': { runtime: undefined },
  'no spec': { spec: undefined },
  'a snapshot key without a snapshotter': { snapshotKey: 'x' },
  'a label that is too long': { labels: longLabel },
  'an extension without a name': { extensions: new Map([['', spec]]) },
})) {
  same(`a container with ${name}`, (to) => to.containers.create({ container: container(wrong) }));
}

same('a container is made, its empty labels are not kept', (to) =>
  to.containers.create({
    container: container({
      labels: new Map([
        ['a', '1'],
        ['empty', ''],
      ]),
      image: 'i',
    }),
  }),
);
same('a container that is there', (to) => to.containers.create({ container: container() }));
same('a container is got', (to) => to.containers.get({ id: 'a' }));
same('a container that is not there is got', (to) => to.containers.get({ id: 'none' }));
same('a container that is not there is deleted', (to) => to.containers.delete({ id: 'none' }));
same('a lease that is not there, in the header of another call', (to) =>
  to.containers.get({ id: 'a' }, { metadata: { 'containerd-lease': 'none' } }),
);

for (const filter of [
  'id==a',
  'id!=a',
  'id~=^a',
  'id~=[',
  'id',
  'image',
  'labels',
  'labels.a',
  'labels."a"==1',
  'runtime',
  'runtime.name',
  'runtime.name==io.containerd.runc.v2',
  'id==a,labels.a',
  'id==a, labels.b',
  ' id == a',
  'id=="a"',
  'id~=/a/',
  'id~=|a|',
  'id==é',
  'id==\u200b',
  'id==a.b.c',
  'id==(',
  '"id"==a',
  'id=a',
  'id==',
  ',',
  'id==a,',
  'id==a b',
  'id foo',
  'id==|a|',
  'id=="a',
  'id=="\\q"',
  "id=='a'",
  '..',
  'id..x',
  '(',
  '!id',
  'id=="\\xzz"',
  'id=="\\400"',
  'id=="\\U00110000"',
  'labels./x/==1',
  'id!~a',
  'id~=/a\\/b/',
  'id~=/a\\.b/',
  'id~=|a|x',
  'id=="a"b',
  'id==a=b',
  'id==.',
  'id=!a',
]) {
  same(
    `filter ${JSON.stringify(filter)}`,
    async (to) => (await to.containers.list({ filters: [filter] })).containers.length,
  );
}

for (const [mask, change] of [
  [['labels.b'], { labels: new Map([['b', '2']]) }],
  [['labels.a'], {}],
  [['labels.b'], { labels: new Map([['b', '']]) }],
  [['labels.x.y/z'], { labels: new Map([['x.y/z', '2']]) }],
  [['labels'], { labels: new Map([['c', '2']]) }],
  [['image', 'labels.d'], { image: 'new', labels: new Map([['d', '2']]) }],
  [['snapshotkey'], { snapshotKey: 'new' }],
  [['extensions.e'], { extensions: new Map([['e', spec]]) }],
  [['spec'], { spec: undefined }],
  [['spec'], { spec: { typeUrl: 'x', value: Buffer.from('y') } }],
  [['id'], {}],
  [['runtime.name'], {}],
  [[''], {}],
  [[], { snapshotter: 'x' }],
  [[], { runtime: { name: 'other', options: undefined } }],
  [['labels'], { id: '' }],
  [['labels'], { id: 'none' }],
  [['labels'], { labels: longLabel }],
] as const) {
  same(`an update of ${JSON.stringify(mask)} to ${JSON.stringify(change, comparable).slice(0, 60)}`, (to) =>
    to.containers.update({ container: container(change), updateMask: [...mask] }),
  );
}
same('an update of no container', (to) => to.containers.update({ container: undefined, updateMask: undefined }));
same('a container after all updates', (to) => to.containers.get({ id: 'a' }));
