import assert from 'node:assert/strict';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { codes } from '../../common/errdefs.ts';
import {
  allocate,
  allocateNow,
  getXattr,
  listXattrs,
  lockFile,
  makeFifo,
  makeNode,
  nextData,
  openIn,
  removeXattr,
  setTimes,
  setXattr,
} from '../../native/index.ts';
import { isCloseOnExec, isErrno } from './native-harness.ts';

const directory = mkdtempSync(join(tmpdir(), 'holdfast-native-'));
after(() => rmSync(directory, { recursive: true }));

let files = 0;
const freshPath = (): string => join(directory, `file-${(files += 1)}`);
const freshFile = (content = ''): string => {
  const path = freshPath();
  writeFileSync(path, content);
  return path;
};

test('a lock keeps other open files out, is shared among readers, and goes with its open file', () => {
  const path = freshFile();
  const [first, second] = [openSync(path, 'r'), openSync(path, 'r')];
  assert.equal(lockFile(first, 'exclusive'), true);
  assert.equal(lockFile(second, 'exclusive'), false);
  assert.equal(lockFile(second, 'shared'), false);
  assert.equal(lockFile(first, 'shared'), true);
  assert.equal(lockFile(second, 'shared'), true);
  assert.equal(lockFile(second, 'unlock'), true);
  closeSync(first);
  assert.equal(lockFile(second, 'exclusive'), true);
  closeSync(second);
  assert.throws(() => lockFile(second, 'shared'), isErrno('EBADF', codes.invalidArgument, 'flock'));
});

test('room is made for bytes that are not written yet, at once and in the pool', async () => {
  const path = freshFile('abc');
  const fd = openSync(path, 'r+');
  allocateNow(fd, 0, 4096);
  assert.equal(fstatSync(fd).size, 4096);
  await allocate(fd, 4096, 8192);
  assert.equal(fstatSync(fd).size, 12_288);
  assert.ok(fstatSync(fd).blocks * 512 >= 12_288);
  const start = Buffer.alloc(4);
  readSync(fd, start);
  assert.equal(start.toString(), 'abc\0');
  closeSync(fd);
});

test('no room, no bytes and no descriptor each have their code, also as a rejection', async () => {
  const fd = openSync(freshFile(), 'r+');
  assert.throws(() => allocateNow(fd, 0, 0), isErrno('EINVAL', codes.invalidArgument, 'fallocate'));
  assert.throws(() => allocateNow(fd, 0, 2 ** 53 - 1), isErrno('EFBIG', codes.unknown, 'fallocate'));
  await assert.rejects(allocate(fd, 0, 0), isErrno('EINVAL', codes.invalidArgument, 'fallocate'));
  await assert.rejects(allocate(999_999, 0, 1), isErrno('EBADF', codes.invalidArgument, 'fallocate'));
  closeSync(fd);
});

test('times are kept to the nanosecond, before 1970 too, and of a symlink itself if wanted', () => {
  const path = freshFile();
  const link = freshPath();
  symlinkSync(path, link);
  const times = { atime: 1_700_000_000_123_456_789n, mtime: -1n };
  setTimes(link, times);
  const { atimeNs, mtimeNs } = statSync(path, { bigint: true });
  assert.equal(atimeNs, times.atime);
  assert.equal(mtimeNs, times.mtime);

  setTimes(link, { atime: 5n, mtime: 1_000_000_007n }, { noFollow: true });
  assert.equal(lstatSync(link, { bigint: true }).mtimeNs, 1_000_000_007n);
  assert.equal(statSync(path, { bigint: true }).mtimeNs, times.mtime);
  assert.throws(() => setTimes(freshPath(), times), isErrno('ENOENT', codes.notFound, 'utimensat'));
  assert.throws(() => setTimes(path, { atime: 2n ** 63n, mtime: 0n }), isErrno('EINVAL', codes.invalidArgument));
});

test('any time of the years 1902 to 2037, which every file system can hold, is kept', () => {
  const path = freshFile();
  const limit = (2n ** 31n - 10n) * 1_000_000_000n;
  fc.assert(
    fc.property(fc.bigInt({ min: -limit, max: limit }), (mtime) => {
      setTimes(path, { atime: 0n, mtime });
      return statSync(path, { bigint: true }).mtimeNs === mtime;
    }),
    { numRuns: 200 },
  );
});

test('nodes are made: a FIFO, a socket, a file, and the 0:0 device that overlayfs takes for a deletion', () => {
  const umask = process.umask(0);
  try {
    const [fifo, socket, file, whiteout] = [freshPath(), freshPath(), freshPath(), freshPath()];
    makeFifo(fifo, 0o620);
    makeNode(socket, { mode: constants.S_IFSOCK | 0o600 });
    makeNode(file, { mode: constants.S_IFREG | 0o604 });
    makeNode(whiteout, { mode: constants.S_IFCHR | 0o000, major: 0, minor: 0 });
    assert.equal(lstatSync(fifo).mode, constants.S_IFIFO | 0o620);
    assert.ok(lstatSync(socket).isSocket());
    assert.equal(lstatSync(file).mode, constants.S_IFREG | 0o604);
    assert.ok(lstatSync(whiteout).isCharacterDevice());
    assert.equal(lstatSync(whiteout).rdev, 0);
    assert.throws(() => makeFifo(fifo, 0o600), isErrno('EEXIST', codes.alreadyExists, 'mkfifo'));
    assert.throws(() => makeNode(freshPath(), { mode: constants.S_IFDIR }), isErrno('EPERM', codes.permissionDenied));
    assert.throws(() => makeFifo(join(fifo, 'below'), 0o600), isErrno('ENOTDIR', codes.unknown, 'mkfifo'));
  } finally {
    process.umask(umask);
  }
});

test('extended attributes are set, read, listed and removed, of any bytes', () => {
  const path = freshFile();
  const value = Buffer.from([0, 255, 10]);
  assert.equal(getXattr(path, 'user.absent'), undefined);
  setXattr(path, 'user.one', value);
  setXattr(path, 'user.empty', Buffer.alloc(0));
  assert.deepEqual(getXattr(path, 'user.one'), value);
  assert.deepEqual(getXattr(path, 'user.empty'), Buffer.alloc(0));
  assert.deepEqual(
    listXattrs(path)
      .filter((name) => name.startsWith('user.'))
      .sort(),
    ['user.empty', 'user.one'],
  );
  removeXattr(path, 'user.one');
  assert.equal(getXattr(path, 'user.one'), undefined);
  assert.throws(() => removeXattr(path, 'user.one'), isErrno('ENODATA', codes.unknown, 'removexattr'));
  assert.throws(() => getXattr(freshPath(), 'user.one'), isErrno('ENOENT', codes.notFound, 'getxattr'));
  assert.throws(() => setXattr(path, 'nonsense', value), isErrno('EOPNOTSUPP', codes.unimplemented, 'setxattr'));
});

test('attributes of a symlink itself are not those of what it leads to', () => {
  const link = freshPath();
  const path = freshFile();
  symlinkSync(path, link);
  setXattr(link, 'user.one', Buffer.from('target'));
  assert.equal(String(getXattr(path, 'user.one')), 'target');
  assert.equal(getXattr(link, 'user.one', { noFollow: true }), undefined);
  assert.ok(!listXattrs(link, { noFollow: true }).includes('user.one'));
  // The kernel allows no user attributes on a symlink.
  const onLink = (): void => setXattr(link, 'user.one', Buffer.from('x'), { noFollow: true });
  assert.throws(onLink, isErrno('EPERM', codes.permissionDenied, 'setxattr'));
});

test('an open below a directory does not leave it, by dots, absolute paths or symlinks', () => {
  const root = freshPath();
  mkdirSync(join(root, 'etc'), { recursive: true });
  writeFileSync(join(root, 'etc/name'), 'inside');
  symlinkSync('/etc/name', join(root, 'absolute'));
  symlinkSync('../../../../etc/name', join(root, 'dots'));
  const fd = openSync(root, 'r');
  const flags = constants.O_RDONLY;
  for (const path of ['etc/name', '/etc/name', '../../etc/name', 'absolute', 'dots']) {
    const opened = openIn(fd, path, { flags, resolve: { inRoot: true } });
    const buffer = Buffer.alloc(10);
    assert.equal(buffer.toString('utf8', 0, readSync(opened, buffer)), 'inside', path);
    assert.ok(isCloseOnExec(opened));
    closeSync(opened);
    if (path === 'etc/name') continue;
    const leave = (): number => openIn(fd, path, { flags, resolve: { beneath: true } });
    assert.throws(leave, isErrno('EXDEV', codes.unknown, 'openat2'), path);
  }
  const symlink = (): number => openIn(fd, 'absolute', { flags, resolve: { noSymlinks: true } });
  assert.throws(symlink, isErrno('ELOOP', codes.unknown, 'openat2'));
  assert.throws(() => openIn(fd, 'absent', { flags }), isErrno('ENOENT', codes.notFound, 'openat2'));
  assert.throws(() => openIn(fd, 'etc', { flags: 0x80000000 }), isErrno('EINVAL', codes.invalidArgument, 'openat2'));
  const made = openIn(fd, 'made', { flags: constants.O_CREAT | constants.O_WRONLY, mode: 0o640 });
  assert.equal(fstatSync(made).mode & 0o777, 0o640 & ~process.umask());
  closeSync(made);
  closeSync(fd);
});

test('the data of a sparse file is found stretch by stretch', () => {
  const path = freshFile();
  const fd = openSync(path, 'r+');
  writeSync(fd, 'x', 1 << 20);
  truncateSync(path, 4 << 20);
  assert.deepEqual(nextData(fd, 0), { begin: 1 << 20, end: (1 << 20) + 4096 });
  assert.equal(nextData(fd, (1 << 20) + 4096), undefined);
  assert.equal(nextData(fd, 4 << 20), undefined);
  closeSync(fd);
  assert.throws(() => nextData(fd, 0), isErrno('EBADF', codes.invalidArgument, 'lseek'));
});
