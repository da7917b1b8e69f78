import assert from 'node:assert/strict';
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { codes } from '../../common/errdefs.ts';
import {
  getXattrBelow,
  linkBelow,
  listDirectory,
  listXattrsBelow,
  makeDirectoryBelow,
  makeNodeBelow,
  openBelow,
  readLinkBelow,
  removeBelow,
  setInodeBelow,
  setXattrBelow,
  statBelow,
  symlinkBelow,
  syncFileSystem,
  writeFileBelow,
} from '../../native/index.ts';
import { isErrno, openDescriptors } from './native-harness.ts';

const directory = mkdtempSync(join(tmpdir(), 'holdfast-native-'));
const fd = openSync(directory, 'r');
after(() => {
  closeSync(fd);
  rmSync(directory, { recursive: true });
});

const attributes = { uid: 12, gid: 34, mode: 0o4751, atime: 5n, mtime: 1_700_000_000_123_456_789n };

test('names are any bytes, one a character', () => {
  const name = 'caf\xe9 \xff\x01';
  writeFileBelow(fd, name, attributes, Buffer.from('inside'));
  assert.ok(listDirectory(fd).includes(name));
  assert.equal(readFileSync(Buffer.from(`${directory}/${name}`, 'latin1'), 'utf8'), 'inside');
  assert.equal(removeBelow(fd, name), true);
  assert.equal(statBelow(fd, name), undefined);
});

test('a file gets owner, mode with set-uid, and times to the nanosecond, whatever the umask', () => {
  const umask = process.umask(0o777);
  writeFileBelow(fd, 'file', attributes, Buffer.from('four'));
  process.umask(umask);
  const { mode, uid, gid, size, mtime, links } = statBelow(fd, 'file') ?? {};
  assert.deepEqual(
    { mode, uid, gid, size, mtime, links },
    { mode: constants.S_IFREG | 0o4751, uid: 12, gid: 34, size: 4, mtime: attributes.mtime, links: 1 },
  );
  assert.throws(() => writeFileBelow(fd, 'file', attributes, Buffer.alloc(0)), isErrno('EEXIST', codes.alreadyExists));
  linkBelow(fd, 'file', fd, 'second');
  assert.equal(statBelow(fd, 'second')?.inode, statBelow(fd, 'file')?.inode);
});

test('no call follows a symlink in the last place', () => {
  mkdirSync(join(directory, 'outside'));
  symlinkSync('outside', join(directory, 'link'));
  const before = statSync(join(directory, 'outside'));
  setInodeBelow(fd, 'link', { ...attributes, mode: 0 });
  const after = statSync(join(directory, 'outside'));
  assert.deepEqual([after.uid, after.mode, after.mtimeMs], [before.uid, before.mode, before.mtimeMs]);
  assert.equal(statBelow(fd, 'link')?.uid, 12);
  assert.equal(readLinkBelow(fd, 'link'), 'outside');
  assert.throws(() => setXattrBelow(fd, 'link', 'user.x', Buffer.from('y')), isErrno('EPERM', codes.permissionDenied));
  assert.throws(() => makeDirectoryBelow(fd, 'link', 0o700), isErrno('EEXIST', codes.alreadyExists));
  assert.equal(removeBelow(fd, 'link'), true);
  assert.equal(removeBelow(fd, 'outside'), true);
});

test('a full directory is not removed, an absent one is no error', () => {
  makeDirectoryBelow(fd, 'full', 0o755);
  symlinkBelow('to', fd, 'full/inside');
  assert.equal(removeBelow(fd, 'full'), false);
  assert.equal(removeBelow(fd, 'full/inside'), true);
  assert.equal(removeBelow(fd, 'full'), true);
  assert.equal(removeBelow(fd, 'absent'), true);
});

test('nodes and attributes are made and read in an O_PATH directory', async () => {
  const before = openDescriptors();
  const path = openBelow(fd, '.', { flags: 0o10000000 | constants.O_DIRECTORY, resolve: { inRoot: true } });
  makeNodeBelow(path, 'null', { mode: constants.S_IFCHR | 0o600, major: 1, minor: 3 });
  setInodeBelow(path, 'null', { ...attributes, mode: 0o620 });
  const { major, minor, mode } = statBelow(path, 'null') ?? {};
  assert.deepEqual({ major, minor, mode }, { major: 1, minor: 3, mode: constants.S_IFCHR | 0o620 });
  setXattrBelow(path, '', 'user.bytes', Buffer.from([0, 255]));
  assert.deepEqual(getXattrBelow(path, '', 'user.bytes'), Buffer.from([0, 255]));
  assert.ok(listXattrsBelow(path, '').includes('user.bytes'));
  assert.equal(getXattrBelow(path, 'null', 'user.absent'), undefined);
  assert.ok(listDirectory(path).includes('null'));
  closeSync(path);
  await syncFileSystem(fd);
  assert.deepEqual(openDescriptors(), before);
});
