import { nanosFromTimestamp } from '../../common/timestamp.ts';
import { WriteAction } from '../../proto/gen/containerd/services/content/v1/content.ts';
import { collect, digestOf, putBlob, type Request, writeCall } from './content-harness.ts';
import { type Clients, longLabel, namespace, same } from './daemon-side-by-side.ts';

const { STAT, WRITE, COMMIT } = WriteAction;
const hello = Buffer.from('hello');
const helloDigest = digestOf('hello');
const none = digestOf('nobody has this');

/** The calls below leave out what differs between two daemons, or 1.6 and 2: sequence numbers, times of a stream. */
const write = async (to: Clients, requests: readonly Request[], options = {}): Promise<unknown> =>
  (await writeCall(to.address, requests, options)).map(({ startedAt, updatedAt, ...rest }) => ({
    ...rest,
    // 1.6 has no way to leave a time out.
    times: [nanosFromTimestamp(startedAt) > 0n, nanosFromTimestamp(updatedAt) > 0n],
  }));

const infos = async (to: Clients, filters: string[], options = {}): Promise<unknown> =>
  (await collect(to.content.list({ filters }, options)))
    .flatMap(({ info }) => info)
    .map(({ digest, size, labels }) => ({ digest, size, labels }))
    .sort((a, b) => (a.digest < b.digest ? -1 : 1));

const read = async (to: Clients, digest: string, offset: bigint, size: bigint): Promise<unknown> => {
  const pieces = await collect(to.content.read({ digest, offset, size }));
  return pieces.map((piece) => [piece.offset, piece.data.toString()]);
};

const statuses = async (to: Clients, filters: string[]): Promise<unknown> =>
  (await to.content.listStatuses({ filters })).statuses
    .map(({ startedAt, ...rest }) => ({ ...rest, started: startedAt !== undefined }))
    .sort((a, b) => (a.ref < b.ref ? -1 : 1));

const wrongDigests = [
  '',
  'x',
  'x:y',
  'sha256:',
  ':abc',
  'sha256:abc',
  `sha256:${'A'.repeat(64)}`,
  `sha256:${'g'.repeat(64)}`,
  `md5:${'a'.repeat(32)}`,
  `SHA256:${'a'.repeat(64)}`,
  `sha256:../../${'a'.repeat(58)}`,
  `sha512:${'a'.repeat(64)}`,
];
for (const digest of wrongDigests) {
  same(`info, update, delete and read of ${JSON.stringify(digest)}`, async (to) => {
    const info = { digest, size: 0n, createdAt: undefined, updatedAt: undefined, labels: new Map<string, string>() };
    const calls = [
      to.content.info({ digest }),
      to.content.update({ info, updateMask: undefined }),
      to.content.delete({ digest }),
      collect(to.content.read({ digest, offset: 0n, size: 0n })),
    ];
    return (await Promise.allSettled(calls)).map((result) =>
      result.status === 'rejected' ? [result.reason.code, result.reason.details] : result.value,
    );
  });
}
for (const [name, call] of Object.entries({
  info: (to: Clients) => to.content.info({ digest: none }),
  delete: (to: Clients) => to.content.delete({ digest: none }),
  read: (to: Clients) => read(to, none, 0n, 0n),
  status: (to: Clients) => to.content.status({ ref: 'none' }),
  abort: (to: Clients) => to.content.abort({ ref: 'none' }),
  'abort of no reference': (to: Clients) => to.content.abort({ ref: '' }),
  'list of statuses': (to: Clients) => statuses(to, []),
  list: (to: Clients) => infos(to, []),
  'info without a namespace': (to: Clients) => to.content.info({ digest: none }, namespace('')),
  'write without a namespace': (to: Clients) => write(to, [{ ref: 'x' }], { namespace: '' }),
  'write in a namespace that is none': (to: Clients) => write(to, [{ ref: 'x' }], { namespace: '../x' }),
  'write under a lease that is not there': (to: Clients) => write(to, [{ ref: 'x' }], { lease: 'none' }),
  'write without a request': (to: Clients) => write(to, []),
  'write without a reference': (to: Clients) => write(to, [{ action: STAT }]),
})) {
  same(`of what is not there: ${name}`, call);
}

same('a blob is written in two pieces and committed', (to) =>
  write(to, [
    { action: STAT, ref: 'a', total: 5n },
    { action: WRITE, data: Buffer.from('he') },
    { action: WRITE, offset: 2n, data: Buffer.from('llo') },
    { action: STAT },
    {
      action: COMMIT,
      offset: 5n,
      total: 5n,
      expected: helloDigest,
      labels: new Map([
        ['k', 'v'],
        ['empty', ''],
      ]),
    },
  ]),
);
same('its info', (to) => to.content.info({ digest: helloDigest }));
same('nothing is left of the ingest', (to) => statuses(to, []));
same('a write that expects it', (to) => write(to, [{ action: STAT, ref: 'b', expected: helloDigest, total: 5n }]));
same('a write that expects it under a lease that is not there', (to) =>
  write(to, [{ ref: 'b', expected: helloDigest }], { lease: 'none' }),
);
same('a write that says later that it expects it', (to) =>
  write(to, [
    { action: WRITE, ref: 'b', data: Buffer.from('he') },
    { action: COMMIT, offset: 2n, data: Buffer.from('llo'), expected: helloDigest },
  ]),
);
same('which took the ingest away', (to) => statuses(to, []));
same('the same bytes again, committed without a word', (to) => write(to, [{ action: COMMIT, ref: 'c', data: hello }]));
same('and that took the ingest away too', (to) => statuses(to, []));
same('an empty blob', (to) => write(to, [{ action: COMMIT, ref: 'empty' }]));
same('which is read', (to) => read(to, digestOf(''), 0n, 0n));
same('a blob that is written in its commit', (to) =>
  write(to, [{ action: COMMIT, ref: 'd', data: Buffer.from('one') }]),
);

for (const [offset, size] of [
  [0n, 0n],
  [0n, 2n],
  [3n, 0n],
  [3n, 100n],
  [5n, 0n],
  [6n, 0n],
  [-1n, -1n],
  [1n, -5n],
] as const) {
  same(`${size} bytes are read from ${offset}`, (to) => read(to, helloDigest, offset, size));
}

for (const [name, request] of Object.entries({
  'a size that is too large': { action: COMMIT, data: hello, total: 6n },
  'a size that is too small': { action: COMMIT, offset: 5n, total: 4n },
  'another digest': { action: COMMIT, offset: 5n, total: 5n, expected: none },
  'a digest that is none': { action: COMMIT, offset: 5n, total: 5n, expected: 'x' },
  'a label that is too long': { action: COMMIT, offset: 5n, labels: longLabel },
  'an offset ahead': { action: WRITE, offset: 9n, data: hello },
  'an offset behind': { action: WRITE, offset: 4n, data: hello },
} satisfies Record<string, Request>)) {
  same(`a commit is refused: ${name}`, (to) => write(to, [{ action: STAT, ref: 'wrong' }, request]));
  same(`and what was written stays: ${name}`, (to) => statuses(to, ['ref==wrong']));
}
same('it is gone on with', (to) =>
  write(to, [
    { action: STAT, ref: 'wrong' },
    { action: WRITE, offset: 5n, data: Buffer.from('!') },
  ]),
);
same('its status', async (to) => {
  const { status } = await to.content.status({ ref: 'wrong' });
  return { ...status, startedAt: undefined, updatedAt: undefined };
});
same('offset 0 begins anew', (to) => write(to, [{ action: WRITE, ref: 'wrong', data: Buffer.from('new') }]));
same('a negative offset is none', (to) =>
  write(to, [{ action: WRITE, ref: 'wrong', offset: -1n, data: Buffer.from('er') }]),
);
same('a total that differs begins anew', async (to) => [
  await write(to, [{ action: WRITE, ref: 'totals', total: 10n, data: hello }]),
  await write(to, [{ action: STAT, ref: 'totals' }]),
  await write(to, [{ action: STAT, ref: 'totals', total: 10n }]),
  await write(to, [{ action: WRITE, ref: 'totals', total: 11n, data: hello }]),
]);
for (const filters of [[], [''], ['ref==wrong'], ['ref~=w'], ['ref'], ['total==5'], ['ref==wrong', 'ref==totals']]) {
  same(`statuses ${JSON.stringify(filters)}`, (to) => statuses(to, filters));
}
same('statuses by a filter that is none', (to) => statuses(to, ['ref==(']));
same('an ingest is aborted, once', async (to) => {
  await to.content.abort({ ref: 'wrong' });
  return to.content.abort({ ref: 'wrong' });
});
for (const filters of [
  [],
  [`digest==${helloDigest}`],
  [`digest!=${helloDigest}`],
  ['digest~=^sha256:2c'],
  ['digest'],
  ['labels.k'],
  ['labels.k==v'],
  ['labels."k"==w'],
  ['size==5'],
  ['labels'],
  ['digest==('],
  ['digest==x', 'labels.k==v'],
]) {
  same(`list ${JSON.stringify(filters)}`, (to) => infos(to, filters));
}

const update = async (to: Clients, labels: Map<string, string>, mask: string[] | undefined): Promise<unknown> =>
  to.content.update({
    info: { digest: helloDigest, size: 9n, createdAt: undefined, updatedAt: undefined, labels },
    updateMask: mask,
  });
for (const [labels, mask] of [
  [new Map([['a', '1']]), ['labels.a']],
  [new Map([['a', '']]), ['labels.a']],
  [new Map([['x.y/z', '2']]), ['labels.x.y/z']],
  [new Map(), ['labels.x.y/z']],
  [
    new Map([
      ['b', '2'],
      ['c', ''],
    ]),
    ['labels'],
  ],
  [new Map([['d', '3']]), undefined],
  [new Map([['e', '4']]), []],
  [longLabel, ['labels']],
  [new Map(), ['size']],
  [new Map(), ['']],
] as const) {
  same(`an update of ${JSON.stringify(mask)} to ${JSON.stringify([...labels]).slice(0, 60)}`, (to) =>
    update(to, labels, mask === undefined ? undefined : [...mask]),
  );
}
same('an update of what is not there', (to) =>
  to.content.update({
    info: { digest: none, size: 0n, createdAt: undefined, updatedAt: undefined, labels: new Map() },
    updateMask: undefined,
  }),
);

same('another namespace sees none of it', async (to) => infos(to, [], namespace('other')));
same('but may have it for naming it: all is there at once', (to) =>
  write(to, [{ action: STAT, ref: 'shared', expected: helloDigest, total: 5n }], { namespace: 'other' }),
);
same('until then it has no status', (to) =>
  to.content.status({ ref: 'shared' }, namespace('other')).catch(({ code }: { code: number }) => code),
);
same('it is refused under another digest', (to) =>
  write(
    to,
    [
      { action: STAT, ref: 'shared2', expected: helloDigest },
      { action: COMMIT, offset: 5n, expected: none },
    ],
    { namespace: 'other2' },
  ),
);
same('and with another size', (to) =>
  write(
    to,
    [
      { action: STAT, ref: 'shared', expected: helloDigest },
      { action: COMMIT, offset: 5n, total: 6n },
    ],
    { namespace: 'other' },
  ),
);
same('it is committed', (to) =>
  write(
    to,
    [
      { action: STAT, ref: 'shared', expected: helloDigest },
      { action: COMMIT, offset: 5n, total: 5n, expected: helloDigest, labels: new Map([['of', 'other']]) },
    ],
    { namespace: 'other' },
  ),
);
same('and is there, with its own labels', (to) => to.content.info({ digest: helloDigest }, namespace('other')));
same('a blob of another size must be written', (to) =>
  write(to, [{ action: STAT, ref: 'shared', expected: helloDigest, total: 4n }], { namespace: 'third' }),
);
same('a shared one may be gone on with', (to) =>
  write(
    to,
    [
      { action: STAT, ref: 'longer', expected: helloDigest },
      { action: WRITE, offset: 5n, data: Buffer.from(' world') },
      { action: COMMIT, offset: 11n, total: 11n, expected: digestOf('hello world') },
    ],
    { namespace: 'fourth' },
  ),
);
same('or begun anew', (to) =>
  write(
    to,
    [
      { action: STAT, ref: 'anew', expected: helloDigest },
      { action: WRITE, offset: 0n, data: Buffer.from('bye') },
      { action: COMMIT, offset: 3n, total: 3n, expected: digestOf('bye') },
    ],
    { namespace: 'fourth' },
  ),
);
same('what the fourth namespace has', (to) => infos(to, [], namespace('fourth')));

same('a blob is deleted, once', async (to) => {
  await to.content.delete({ digest: helloDigest });
  return to.content.delete({ digest: helloDigest });
});
same('another namespace has it still', (to) => to.content.info({ digest: helloDigest }, namespace('other')));
same('a namespace with a blob cannot be removed', (to) => to.namespaces.delete({ name: 'other' }));
same('a lease holds what is written under it, and what was there', async (to) => {
  await to.leases.create({ id: 'l', labels: new Map() });
  await write(to, [{ action: WRITE, ref: 'leased', data: hello }], { lease: 'l' });
  const during = await to.leases.listResources({ id: 'l' });
  await putBlob(to.address, 'under a lease', { lease: 'l', ref: 'leased2' });
  await write(to, [{ ref: 'x', expected: digestOf('one') }], { lease: 'l' }).catch(() => undefined);
  await to.content.abort({ ref: 'leased' }, { metadata: { 'containerd-lease': 'l' } });
  return [during, await to.leases.listResources({ id: 'l' })];
});
same('and gives back what is deleted under it', async (to) => {
  await to.content.delete({ digest: digestOf('one') }, { metadata: { 'containerd-lease': 'l' } });
  return to.leases.listResources({ id: 'l' });
});
