import assert from 'node:assert/strict';
import { closeSync, constants, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { codes } from '../../common/errdefs.ts';
import { isFifo, makeFifo, openFifo, openIn, readNow, writeNow } from '../../native/index.ts';
import { flagsOf, isCloseOnExec, isErrno, openDescriptors } from './native-harness.ts';

const O_PATH = 0o10000000;
const O_NONBLOCK = 0o4000;
const directory = mkdtempSync(join(tmpdir(), 'holdfast-native-'));
after(() => rmSync(directory, { recursive: true }));

let paths = 0;
const freshPath = (): string => join(directory, `path-${(paths += 1)}`);
const freshFile = (): string => {
  const path = freshPath();
  writeFileSync(path, '');
  return path;
};

test('an open below a directory does not hang on a FIFO, and O_PATH opens nothing at all', () => {
  const fd = openSync(directory, 'r');
  makeFifo(join(directory, 'waiting'), 0o600);
  closeSync(openIn(fd, 'waiting', { flags: constants.O_RDONLY }));
  const toWrite = (): number => openIn(fd, 'waiting', { flags: constants.O_WRONLY });
  assert.throws(toWrite, isErrno('ENXIO', codes.unavailable, 'openat2'));
  closeSync(openIn(fd, 'waiting', { flags: O_PATH }));
  closeSync(fd);
});

test('a FIFO opens without waiting for its other end; to be written only, it needs a reader', () => {
  const path = freshPath();
  makeFifo(path, 0o600);
  assert.throws(() => openFifo(path, { write: true }), isErrno('ENXIO', codes.unavailable, 'open'));
  const read = openFifo(path, { read: true });
  const write = openFifo(path, { write: true });
  const both = openFifo(path, { read: true, write: true });
  const blocking = openFifo(path, { write: true, blocking: true });
  assert.deepEqual(
    [read, write, both, blocking].map((fd) => (flagsOf(fd) & O_NONBLOCK) !== 0),
    [true, true, true, false],
  );
  assert.deepEqual([read, write, both, blocking].map(isCloseOnExec), [true, true, true, true]);
  writeNow(write, Buffer.from('a'));
  writeNow(both, Buffer.from('b'));
  writeSync(blocking, 'c');
  const buffer = Buffer.alloc(8);
  assert.equal(buffer.toString('utf8', 0, readNow(read, buffer)), 'abc');
  for (const fd of [read, write, both, blocking]) closeSync(fd);
});

test('what is no FIFO is not opened as one, not even a device', () => {
  const before = openDescriptors();
  const link = freshPath();
  symlinkSync('/dev/null', link);
  for (const path of [freshFile(), directory, '/dev/null', link]) {
    assert.throws(() => openFifo(path, { read: true }), isErrno('EINVAL', codes.invalidArgument, 'open'), path);
    assert.throws(() => openFifo(path, { read: true }), /not a FIFO/);
    assert.equal(isFifo(path), false);
  }
  assert.throws(() => openFifo(freshPath(), { read: true }), isErrno('ENOENT', codes.notFound, 'open'));
  const fifo = freshPath();
  makeFifo(fifo, 0o600);
  assert.throws(() => openFifo(fifo, {}), isErrno('EINVAL', codes.invalidArgument, 'open'));
  assert.equal(isFifo(fifo), true);
  assert.equal(isFifo(freshPath()), false);
  assert.equal(isFifo(join(fifo, 'below')), false);
  assert.deepEqual(openDescriptors(), before);
});
