import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { CodedError, codes } from '../../common/errdefs.ts';
import { paxRecord } from '../../daemon/diff/tar/pax.ts';
import { readingOf } from '../../daemon/diff/media-types.ts';
import { type Member, memberOf, seal, tarOf } from '../harness/layers.ts';
import { apply, describe, workFolder } from '../integration/diff-harness.ts';

// Every known way out of a layer's root: refused, or kept inside. What is outside is the same afterwards.

const folder = workFolder();

interface Place {
  readonly root: string;
  /** What is around the root, and must stay as it is. */
  readonly outside: () => Record<string, string>;
}

/** A root with something beside it and above it that a layer might reach for. */
const place = (): Place => {
  const around = folder.fresh();
  const root = join(around, 'root');
  mkdirSync(root);
  mkdirSync(join(around, 'victim'));
  writeFileSync(join(around, 'victim/file'), 'untouched');
  writeFileSync(join(around, 'secret'), 'untouched');
  const outside = (): Record<string, string> =>
    Object.fromEntries(Object.entries(describe(around)).filter(([path]) => !path.startsWith('root')));
  return { root, outside };
};

/** What is in the root after the layer, or why it was refused. */
const unpack = async (bytes: Buffer, { root, outside }: Place, before?: () => void): Promise<string[] | CodedError> => {
  before?.();
  const was = outside();
  let result: string[] | CodedError;
  try {
    await apply(bytes, root);
    result = Object.keys(describe(root));
  } catch (error) {
    assert.ok(error instanceof CodedError, String(error));
    result = error;
  }
  assert.deepEqual(outside(), was);
  return result;
};

const refused = (result: string[] | CodedError, message: RegExp): void => {
  assert.ok(result instanceof CodedError, `it gave ${JSON.stringify(result)}`);
  assert.equal(result.code, codes.unknown);
  assert.match(result.message, message);
};

const contained: readonly (readonly [name: string, members: readonly Member[], inside: readonly string[]])[] = [
  ['.. in a name', [{ name: '../victim/new' }, { name: '../../../../secret' }], ['secret', 'victim', 'victim/new']],
  ['.. in the middle of a name', [{ name: 'a/../../victim/file' }], ['victim', 'victim/file']],
  ['an absolute name', [{ name: '/secret' }, { name: '//victim/x' }], ['secret', 'victim', 'victim/x']],
  [
    'the root itself',
    [
      { name: '/', type: '5', mode: 0o777 },
      { name: '..', type: '5' },
      { name: './', type: '5' },
    ],
    [],
  ],
  [
    'an absolute symlink and a file through it',
    [
      { name: 'l', type: '2', link: '/victim' },
      { name: 'l/file', data: 'inside' },
    ],
    ['l', 'victim', 'victim/file'],
  ],
  [
    'a relative symlink out and a file through it',
    [
      { name: 'a/l', type: '2', link: '../../../victim' },
      { name: 'a/l/file', data: 'inside' },
    ],
    ['a', 'a/l', 'victim', 'victim/file'],
  ],
  [
    'a symlink to a symlink out',
    [{ name: 'one', type: '2', link: '..' }, { name: 'two', type: '2', link: 'one/victim' }, { name: 'two/x' }],
    ['one', 'two', 'victim', 'victim/x'],
  ],
  [
    'a file over a symlink to a file outside',
    [
      { name: 'l', type: '2', link: '../secret' },
      { name: 'l', data: 'over' },
    ],
    ['l'],
  ],
  [
    'a directory over a symlink to one outside, and its mode',
    [{ name: 'l', type: '2', link: '../victim' }, { name: 'l', type: '5', mode: 0o777 }, { name: 'l/x' }],
    ['l', 'l/x'],
  ],
  [
    'a directory that a symlink replaces in the middle',
    [{ name: 'd', type: '5' }, { name: 'd/one' }, { name: 'd', type: '2', link: '../victim' }, { name: 'd/file' }],
    ['d', 'victim', 'victim/file'],
  ],
  [
    'a whiteout through a symlink',
    [{ name: 'l', type: '2', link: '../victim' }, { name: 'l/.wh.file' }],
    ['l', 'victim'],
  ],
  [
    'an opaque marker through a symlink',
    [{ name: 'l', type: '2', link: '../victim' }, { name: 'l/.wh..wh..opq' }],
    ['l', 'victim'],
  ],
  [
    "a directory's time through a symlink that took its place",
    [
      { name: 'd', type: '5', mtime: 5_000_000_000n },
      { name: 'd', type: '2', link: '../victim' },
    ],
    ['d'],
  ],
  ['duplicate entries', [{ name: 'x', data: '1' }, { name: 'x', type: '5' }, { name: 'x/y' }, { name: 'x' }], ['x']],
  [
    'owner and mode of a hard link to a symlink out',
    [
      { name: 'l', type: '2', link: '../secret' },
      { name: 'h', type: '1', link: 'l', uid: 12, mode: 0o777 },
    ],
    ['h', 'l'],
  ],
  [
    'attributes of a symlink out',
    [{ name: 'l', type: '2', link: '../secret', uid: 12, xattrs: new Map([['user.x', Buffer.from('y')]]) }],
    ['l'],
  ],
];

for (const [name, members, inside] of contained) {
  test(`${name}: stays in the root`, async () => {
    assert.deepEqual(await unpack(tarOf(...members), place()), inside);
  });
}

const rejected: readonly (readonly [name: string, bytes: Buffer, message: RegExp])[] = [
  ['a hard link outside', tarOf({ name: 'h', type: '1', link: '../secret' }), /^h: linkat: no such file or directory$/],
  ['an absolute hard link outside', tarOf({ name: 'h', type: '1', link: '/victim/file' }), /^h: openat2: no such file/],
  [
    'a hard link through a symlink out',
    tarOf({ name: 'l', type: '2', link: '../victim' }, { name: 'h', type: '1', link: 'l/file' }),
    /^h: openat2: no such file/,
  ],
  ['a hard link to the root', tarOf({ name: 'h', type: '1', link: '..' }), /^h: invalid hard link to "\.\."/],
  ['a whiteout of nothing', tarOf({ name: 'a/.wh.' }), /invalid whiteout name: \.wh\.: invalid archive$/],
  ['a whiteout of .', tarOf({ name: '.wh..' }), /invalid whiteout name: \.wh\.\.: invalid archive$/],
  ['a whiteout of ..', tarOf({ name: 'a/.wh...' }), /invalid whiteout name: \.wh\.\.\.: invalid archive$/],
  [
    'a symlink loop',
    tarOf({ name: 'a', type: '2', link: 'b' }, { name: 'b', type: '2', link: 'a' }, { name: 'a/x' }),
    /^a\/x: openat2: too many levels of symbolic links$/,
  ],
  ['a file as a directory', tarOf({ name: 'f' }, { name: 'f/x' }), /^f\/x: mkparent f: not a directory$/],
  [
    'a name with NUL',
    Buffer.concat([memberOf({ name: 'p', type: 'x', data: paxRecord('path', 'a\0b') }), tarOf({ name: 'x' })]),
    /^archive\/tar: invalid tar header$/,
  ],
  [
    'a link with NUL',
    Buffer.concat([
      memberOf({ name: 'p', type: 'x', data: paxRecord('linkpath', 'a\0b') }),
      tarOf({ name: 'x', type: '2' }),
    ]),
    /^archive\/tar: invalid tar header$/,
  ],
  ['a PAX header of 1 GB', memberOf({ name: 'p', type: 'x', size: 1 << 30 }), /^archive\/tar: header field too long$/],
  [
    'a PAX size that lies',
    Buffer.concat([
      memberOf({ name: 'p', type: 'x', data: paxRecord('size', '99999999') }),
      tarOf({ name: 'x', data: 'short' }),
    ]),
    /^unexpected EOF$/,
  ],
  [
    'a PAX size that is none',
    Buffer.concat([memberOf({ name: 'p', type: 'x', data: paxRecord('size', '-1') }), tarOf({ name: 'x' })]),
    /^archive\/tar: invalid tar header$/,
  ],
  ['a file of more bytes than there are', memberOf({ name: 'x', size: 2 ** 33 - 1 }), /^unexpected EOF$/],
  [
    'an owner that means "leave it"',
    Buffer.concat([memberOf({ name: 'p', type: 'x', data: paxRecord('uid', '4294967295') }), tarOf({ name: 'x' })]),
    /^x: owner 4294967295:0 is out of range/,
  ],
  ['an unknown type', tarOf({ name: 'x', type: '7' }), /^x: unhandled tar header type 55$/],
  ['a name that is too long', tarOf({ name: 'x'.repeat(256) }), /file name too long$/],
  ['no archive', Buffer.alloc(1024, 'x'), /^archive\/tar: invalid tar header$/],
];

for (const [name, bytes, message] of rejected) {
  test(`${name}: is refused`, async () => {
    refused(await unpack(bytes, place()), message);
  });
}

test('a symlink that is already in the root, from a layer below, leads nowhere else', async () => {
  const it = place();
  symlinkSync('../victim', join(it.root, 'old'));
  symlinkSync('/secret', join(it.root, 'abs'));
  const result = await unpack(tarOf({ name: 'old/file', data: 'inside' }, { name: 'abs', data: 'x' }), it);
  assert.deepEqual(result, ['abs', 'old', 'victim', 'victim/file']);
});

test('a layer cannot set what steers overlayfs', async () => {
  const { root } = place();
  const xattrs = new Map(
    ['trusted.overlay.redirect', 'trusted.overlay.opaque', 'user.overlay.redirect'].map((key) => [
      key,
      Buffer.from('/victim'),
    ]),
  );
  await apply(tarOf({ name: 'd', type: '5', xattrs }), root);
  assert.equal(Object.values(describe(root)).join('').includes('overlay'), false);
});

test('devices are left out where they are not allowed', async () => {
  const { root } = place();
  const layer = tarOf(
    { name: 'null', type: '3', major: 1, minor: 3 },
    { name: 'disk', type: '4', major: 8, minor: 0 },
    { name: 'pipe', type: '6' },
  );
  await apply(layer, root, { devices: false });
  assert.deepEqual(Object.keys(describe(root)), ['pipe']);
});

test('a claim of a huge sparse file takes no room and no time', async () => {
  const { root } = place();
  const records = [
    ['GNU.sparse.size', String(2 ** 40)],
    ['GNU.sparse.map', `${2 ** 40 - 1},1`],
  ] as const;
  const layer = Buffer.concat([
    memberOf({ name: 'p', type: 'x', data: records.map(([key, value]) => paxRecord(key, value)).join('') }),
    tarOf({ name: 'hole', data: 'x' }),
  ]);
  await apply(layer, root).catch((error: unknown) => assert.ok(error instanceof CodedError));
  rmSync(join(root, 'hole'), { force: true });
});

test('a million headers before an entry take no memory', async () => {
  const { root } = place();
  const header = memberOf({ name: 'p', type: 'x', data: paxRecord('comment', 'x'.repeat(60_000)) });
  const layer = Buffer.concat([...Array.from({ length: 2000 }, () => header), tarOf({ name: 'x' })]);
  const before = process.memoryUsage().rss;
  await apply(layer, root);
  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < 150 << 20, `${grown >> 20} MiB more`);
  assert.deepEqual(Object.keys(describe(root)), ['x']);
});

test('while a directory is swapped for a symlink out, again and again, nothing lands outside', async () => {
  const it = place();
  mkdirSync(join(it.root, 'd'));
  const was = it.outside();
  const members = Array.from({ length: 4000 }, (_, index) => ({
    name: `d/sub/f${index}`,
    data: 'x',
    uid: 12,
    mode: 0o4755,
  }));
  const swapper = new Worker(
    `const { renameSync, symlinkSync } = require('node:fs');
     const { workerData: root } = require('node:worker_threads');
     symlinkSync('../victim', root + '/link');
     const swap = (from, to) => { try { renameSync(from, to); } catch {} };
     for (;;) { swap(root + '/d', root + '/kept'); swap(root + '/link', root + '/d'); swap(root + '/d', root + '/link'); swap(root + '/kept', root + '/d'); }`,
    { eval: true, workerData: it.root },
  );
  try {
    for (let round = 0; round < 5; round += 1) {
      await apply(tarOf(...members), it.root).catch((error: unknown) => assert.ok(error instanceof CodedError));
    }
  } finally {
    await swapper.terminate();
  }
  assert.deepEqual(it.outside(), was);
});

test('whatever is changed in a layer of links, nothing changes outside', async () => {
  const sound = Buffer.concat([
    memberOf({ name: 'd', type: '5' }),
    memberOf({ name: 'd/l', type: '2', link: '../../victim' }),
    memberOf({ name: 'd/l/file', data: 'x' }),
    memberOf({ name: 'h', type: '1', link: 'd/l/file' }),
    memberOf({ name: 'd/.wh.l' }),
    memberOf({ name: '../secret', data: 'y', mode: 0o777 }),
    tarOf(),
  ]);
  const char = fc.constantFrom(...'./lhd\0.0123456wx'.split(''));
  const change = fc.record({ at: fc.nat(sound.length - 1), to: char });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 12 }), async (changes) => {
      const layer = Buffer.from(sound);
      for (const { at, to } of changes) {
        layer.write(to, at, 'latin1');
        seal(layer.subarray(at - (at % 512), at - (at % 512) + 512));
      }
      await unpack(layer, place());
    }),
    { numRuns: process.env['HOLDFAST_TEST_LONG'] === '1' ? 5000 : 300 },
  );
});

test('encrypted layers and unknown types are refused in the words that containerd has', () => {
  for (const type of [
    'application/vnd.oci.image.layer.v1.tar+gzip+encrypted',
    'application/vnd.oci.image.layer.v1.tar+encrypted',
    'application/vnd.oci.image.config.v1+json',
    'text/plain',
    '',
  ]) {
    assert.throws(() => readingOf(type), {
      code: codes.unknown,
      message: `failed to get stream processor for ${type}: no processor for media-type`,
    });
  }
});

test('a blob that is not what its digest says is refused', async () => {
  const { root } = place();
  const digest = `sha256:${'0'.repeat(64)}`;
  await assert.rejects(apply(tarOf({ name: 'x' }), root, { digest }), { code: codes.dataLoss });
});

test('a compressed layer that is cut is an error', async () => {
  const { gzipSync, zstdCompressSync } = await import('node:zlib');
  for (const bytes of [
    gzipSync(tarOf({ name: 'x', data: 'y'.repeat(5000) })),
    zstdCompressSync(tarOf({ name: 'x' })),
  ]) {
    refused(await unpack(bytes.subarray(0, bytes.length - 10), place()), /^unexpected EOF$/);
  }
});
