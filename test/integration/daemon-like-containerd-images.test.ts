import type { Image } from '../../proto/gen/containerd/services/images/v1/images.ts';
import { digestOf } from './content-harness.ts';
import { type Clients, comparable, longLabel, namespace, same } from './daemon-side-by-side.ts';

const target = (more: Partial<Image['target'] & object> = {}): Image['target'] => ({
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: digestOf('a'),
  size: 1n,
  annotations: new Map(),
  ...more,
});
const image = (more: Partial<Image> = {}): Image => ({
  name: 'docker.io/library/a:1',
  labels: new Map(),
  target: target(),
  createdAt: undefined,
  updatedAt: undefined,
  ...more,
});
const create = (to: Clients, one: Image | undefined, options = {}): Promise<unknown> =>
  to.images.create({ image: one, sourceDateEpoch: undefined }, options);
const update = (to: Clients, one: Image | undefined, mask?: readonly string[]): Promise<unknown> =>
  to.images.update({ image: one, updateMask: mask === undefined ? undefined : [...mask], sourceDateEpoch: undefined });
const remove = (to: Clients, name: string, options = {}, sync = false): Promise<unknown> =>
  to.images.delete({ name, sync, target: undefined }, options);
const list = async (to: Clients, filters: string[], options = {}): Promise<unknown> =>
  (await to.images.list({ filters }, options)).images;

same('an empty list', (to) => list(to, []));
same('no image is made', (to) => create(to, undefined));
for (const [what, wrong] of Object.entries({
  'no name': { name: '' },
  'no target': { target: undefined },
  'no digest': { target: target({ digest: '' }) },
  'a digest that is none': { target: target({ digest: 'sha256:abc' }) },
  'a digest of an unknown algorithm': { target: target({ digest: `md5:${'a'.repeat(32)}` }) },
  'no size': { target: target({ size: 0n }) },
  'a negative size': { target: target({ size: -1n }) },
  'no media type': { target: target({ mediaType: '' }) },
  'a label that is too long': { labels: longLabel },
} satisfies Record<string, Partial<Image>>)) {
  same(`an image with ${what}`, (to) => create(to, image(wrong)));
}
same('an image without a namespace', (to) => create(to, image(), namespace('')));
same('an image is made, with labels and annotations', (to) =>
  create(
    to,
    image({
      labels: new Map([
        ['a', '1'],
        ['empty', ''],
      ]),
      target: target({
        annotations: new Map([
          ['x.y/z', '1'],
          ['empty', ''],
        ]),
      }),
    }),
  ),
);
same('one that is there', (to) => create(to, image()));
same('any name will do', (to) =>
  create(to, image({ name: '../ä __proto__\n', target: target({ digest: digestOf('b', 'sha512') }) })),
);
same('it is got', (to) => to.images.get({ name: 'docker.io/library/a:1' }));
for (const name of ['', 'none']) {
  same(`${JSON.stringify(name)} is got`, (to) => to.images.get({ name }));
  same(`${JSON.stringify(name)} is deleted`, (to) => remove(to, name));
}

for (const filters of [
  [],
  [''],
  ['name==docker.io/library/a:1'],
  ['name~=a'],
  ['name'],
  ['name!=none'],
  [`target.digest==${digestOf('a')}`],
  [`target.digest~=/^sha512:/`],
  ['target.mediatype~=manifest'],
  ['target'],
  ['target.size==1'],
  ['labels.a'],
  ['labels."a"==1,name~=a'],
  ['annotations."x.y/z"==1'],
  ['annotations.none'],
  ['nothing==1'],
  ['name==(', 'name'],
  ['name==none', 'labels.a==1'],
]) {
  same(`list ${JSON.stringify(filters)}`, (to) => list(to, filters));
}

for (const [mask, change] of [
  [['labels.b'], { labels: new Map([['b', '2']]) }],
  [['labels.a'], { labels: new Map([['a', '']]) }],
  [['labels.a.b/c'], { labels: new Map([['a.b/c', '2']]) }],
  [['labels.b'], {}],
  [['labels'], { labels: new Map([['c', '3']]) }],
  [['annotations.q'], { target: target({ annotations: new Map([['q', '1']]) }) }],
  [['annotations'], { target: target({ annotations: new Map([['r', '1']]) }) }],
  [['target'], { target: target({ digest: digestOf('c'), size: 3n }) }],
  [['target'], { target: target({ size: 0n }) }],
  [['target', 'labels.d'], { labels: new Map([['d', '4']]) }],
  [['name'], {}],
  [[''], {}],
  [['target.digest'], {}],
  [['labels'], { labels: longLabel }],
  [['labels'], { name: 'none' }],
  [['labels'], { name: '' }],
  [[], { labels: new Map([['e', '5']]), target: target({ mediaType: 'm' }) }],
  [[], { target: undefined }],
  [undefined, { labels: new Map([['f', '6']]) }],
] satisfies [string[] | undefined, Partial<Image>][]) {
  same(`an update of ${JSON.stringify(mask)} to ${JSON.stringify(change, comparable).slice(0, 80)}`, (to) =>
    update(to, image(change), mask),
  );
}
same('an update of no image', (to) => update(to, undefined, ['labels']));
same('the image after all updates', (to) => to.images.get({ name: 'docker.io/library/a:1' }));

same('a lease that is not there does not matter to an image', (to) =>
  create(to, image({ name: 'x' }), { metadata: { 'containerd-lease': 'none' } }),
);
same('another namespace has other images', async (to) => {
  await create(to, image(), namespace('other'));
  return list(to, [], namespace('other'));
});
same('a namespace with an image cannot be removed', (to) => to.namespaces.delete({ name: 'other' }));
same('an image is deleted, once', async (to) => {
  await remove(to, 'docker.io/library/a:1');
  return remove(to, 'docker.io/library/a:1');
});
same('an image is deleted and what it held collected', (to) => remove(to, 'x', {}, true));
same('what is left', (to) => list(to, []));
