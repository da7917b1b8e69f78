import { closeSync, constants, ftruncateSync, openSync, writeSync } from 'node:fs';
import fc from 'fast-check';
import {
  linkBelow,
  makeDirectoryBelow,
  makeNodeBelow,
  openBelow,
  setInodeBelow,
  setXattrBelow,
  statBelow,
  symlinkBelow,
  writeFileBelow,
} from '../../native/index.ts';

/** One thing of a random tree. Paths are bytes, and name no `..`. */
export interface Thing {
  readonly path: readonly string[];
  readonly kind: 'file' | 'directory' | 'symlink' | 'device' | 'fifo' | 'sparse' | 'link';
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly mtime: bigint;
  readonly data: Uint8Array;
  readonly target: string;
  readonly xattrs: readonly (readonly [string, Uint8Array])[];
}

/** Few short names, so that things meet, and the lengths around which formats change. */
const name = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('a', 'b', 'c', 'bin', 'etc') },
  {
    weight: 1,
    arbitrary: fc.constantFrom('caf\xc3\xa9', '\xff\xfe', 'sp ace', "q'uote", 'new\nline', '-dash', 'back\\slash'),
  },
  { weight: 2, arbitrary: fc.integer({ min: 96, max: 255 }).map((length) => 'n'.repeat(length)) },
);

const id = fc.oneof(fc.constantFrom(0, 1000, 0o7777777, 0o10000000), fc.integer({ min: 0, max: 2 ** 31 }));

const SECOND = 1_000_000_000n;

/** Whole seconds and not, in the years 1970 to 2037, which every file system can hold. */
const time = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 31n - 2n }).map((seconds) => seconds * SECOND),
  fc.bigInt({ min: 0n, max: (2n ** 31n - 2n) * SECOND }),
);

const thing: fc.Arbitrary<Thing> = fc.record({
  path: fc.array(name, { minLength: 1, maxLength: 4 }),
  kind: fc.constantFrom('file', 'file', 'directory', 'directory', 'symlink', 'device', 'fifo', 'sparse', 'link'),
  uid: id,
  gid: id,
  mode: fc.integer({ min: 0, max: 0o7777 }),
  mtime: time,
  data: fc.oneof(
    fc.uint8Array({ maxLength: 1500 }),
    fc.constantFrom(512, 1024, 70_000).map((size) => new Uint8Array(size).fill(7)),
  ),
  target: fc.oneof(
    fc.constantFrom('a', '../b', '/etc', '/absent'),
    fc.integer({ min: 95, max: 300 }).map((length) => 't'.repeat(length)),
  ),
  xattrs: fc.array(
    fc.tuple(fc.constantFrom('user.one', 'user.two\xc3\xa9', 'user.x=y'), fc.uint8Array({ maxLength: 40 })),
    { maxLength: 2 },
  ),
});

export const things = fc.array(thing, { maxLength: 14 });

/** Makes the tree; what is in the way of another thing is left out. Directories get their times last. */
export const build = (root: string, all: readonly Thing[]): void => {
  const rootFd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  const directories: { readonly path: string; readonly thing: Thing }[] = [];
  const files: string[] = [];
  for (const one of all) {
    const parent = openParent(rootFd, one.path.slice(0, -1));
    if (parent === undefined) continue;
    const last = one.path.at(-1) ?? '';
    const isThere = statBelow(parent, last) !== undefined;
    if (!isThere) {
      make(one, { rootFd, parent, last, files });
      if (one.kind === 'file') files.push(one.path.join('/'));
      if (one.kind === 'directory') directories.push({ path: one.path.join('/'), thing: one });
    }
    closeSync(parent);
  }
  for (const { path, thing } of directories) setInodeBelow(rootFd, path, { ...thing, atime: thing.mtime });
  closeSync(rootFd);
};

/** Makes what is missing; undefined: something else is in the way. */
const openParent = (rootFd: number, path: readonly string[]): number | undefined => {
  let fd = openBelow(rootFd, '.', { flags: constants.O_RDONLY | constants.O_DIRECTORY });
  for (const part of path) {
    const there = statBelow(fd, part);
    if (there === undefined) makeDirectoryBelow(fd, part, 0o755);
    else if ((there.mode & constants.S_IFMT) !== constants.S_IFDIR) {
      closeSync(fd);
      return undefined;
    }
    const next = openBelow(fd, part, { flags: constants.O_RDONLY | constants.O_DIRECTORY });
    closeSync(fd);
    fd = next;
  }
  return fd;
};

const make = (
  one: Thing,
  at: { readonly rootFd: number; readonly parent: number; readonly last: string; readonly files: readonly string[] },
): void => {
  const { parent, last } = at;
  const attributes = { ...one, atime: one.mtime };
  switch (one.kind) {
    case 'file':
      writeFileBelow(parent, last, attributes, one.data);
      break;
    case 'directory':
      makeDirectoryBelow(parent, last, 0o755);
      break;
    case 'symlink':
      symlinkBelow(one.target, parent, last);
      setInodeBelow(parent, last, attributes);
      return;
    case 'device':
      makeNodeBelow(parent, last, { mode: constants.S_IFCHR, major: 1, minor: 3 });
      setInodeBelow(parent, last, attributes);
      return;
    case 'fifo':
      makeNodeBelow(parent, last, { mode: constants.S_IFIFO, major: 0, minor: 0 });
      setInodeBelow(parent, last, attributes);
      return;
    case 'sparse':
      makeSparse(one, parent, last);
      return;
    case 'link':
      if (at.files.length > 0) linkBelow(at.rootFd, at.files[one.mode % at.files.length] ?? '', parent, last);
      return;
  }
  for (const [key, value] of one.xattrs) setXattrBelow(parent, last, key, value);
  setInodeBelow(parent, last, attributes);
};

/** Data, holes between them, and one at the end. */
const makeSparse = (one: Thing, parent: number, last: string): void => {
  const fd = openBelow(parent, last, { flags: constants.O_CREAT | constants.O_WRONLY, mode: 0o600 });
  const count = one.mode % 30;
  for (let index = 0; index < count; index += 1)
    writeSync(fd, Buffer.alloc(4096, index + 1), 0, 4096, (index * 2 + 1) * 65_536);
  ftruncateSync(fd, count * 2 * 65_536 + 100_000);
  closeSync(fd);
  setInodeBelow(parent, last, { ...one, atime: one.mtime });
};
