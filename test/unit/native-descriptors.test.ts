import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { codes } from '../../common/errdefs.ts';
import {
  closeRange,
  duplicate,
  eventfd,
  getWindowSize,
  inotify,
  inotifyAdd,
  inotifyFlags,
  openTerminal,
  pipe,
  pollFlags,
  pollOnce,
  readNow,
  setCloseOnExec,
  setNonblocking,
  setWindowSize,
  socketPair,
  splice,
  writeNow,
} from '../../native/index.ts';
import { flagsOf, isCloseOnExec, isErrno, openDescriptors } from './native-harness.ts';

const O_NONBLOCK = 0o4000;
const directory = mkdtempSync(join(tmpdir(), 'holdfast-native-'));
after(() => rmSync(directory, { recursive: true }));

test('every descriptor that is made closes on exec, and all can be closed again', () => {
  const before = openDescriptors();
  const { read, write } = pipe();
  const { master, replica } = openTerminal();
  const made = [read, write, master, replica, ...socketPair(), eventfd(), inotify(), duplicate(0)];
  assert.deepEqual(
    made.filter((fd) => !isCloseOnExec(fd)),
    [],
  );
  for (const fd of made) closeSync(fd);
  assert.deepEqual(openDescriptors(), before);
});

test('a pipe is blocking unless asked otherwise, what only we use is not', () => {
  const made = [pipe(), pipe({ nonblocking: true })];
  const ours = [...socketPair('seqpacket'), eventfd(), inotify()];
  assert.equal(flagsOf(made[0]!.write) & O_NONBLOCK, 0);
  for (const fd of [made[1]!.read, ...ours]) assert.notEqual(flagsOf(fd) & O_NONBLOCK, 0);
  for (const fd of [...made.flatMap(({ read, write }) => [read, write]), ...ours]) closeSync(fd);
});

test('what was written is read, nothing there is undefined, and the end is 0', () => {
  const { read, write } = pipe({ nonblocking: true });
  const buffer = Buffer.alloc(16);
  assert.equal(readNow(read, buffer), undefined);
  assert.equal(writeNow(write, Buffer.from('hello')), 5);
  assert.equal(readNow(read, buffer.subarray(4, 8)), 4);
  assert.equal(readNow(read, buffer), 1);
  assert.equal(buffer.toString('utf8', 0, 8), 'o\0\0\0hell');
  closeSync(write);
  assert.equal(readNow(read, buffer), 0);
  closeSync(read);
});

test('a full pipe takes no more and does not wait; without a reader it is Unavailable', () => {
  const { read, write } = pipe({ nonblocking: true });
  const chunk = Buffer.alloc(65536);
  let written = 0;
  for (let count = writeNow(write, chunk); count !== undefined; count = writeNow(write, chunk)) written += count;
  assert.equal(written, 65536);
  closeSync(read);
  assert.throws(() => writeNow(write, chunk), isErrno('EPIPE', codes.unavailable, 'write'));
  closeSync(write);
});

test('a blocking descriptor, and a read of nothing, are refused: one could hang, the other look like the end', () => {
  const { read, write } = pipe();
  assert.throws(() => readNow(read, Buffer.alloc(1)), isErrno('EINVAL', codes.invalidArgument, 'read'));
  assert.throws(() => writeNow(write, Buffer.alloc(1)), isErrno('EINVAL', codes.invalidArgument, 'write'));
  setNonblocking(read, true);
  assert.equal(readNow(read, Buffer.alloc(1)), undefined);
  assert.throws(() => readNow(read, Buffer.alloc(0)), isErrno('EINVAL', codes.invalidArgument, 'read'));
  setNonblocking(read, false);
  assert.throws(() => readNow(read, Buffer.alloc(1)), isErrno('EINVAL', codes.invalidArgument));
  closeSync(read);
  closeSync(write);
  assert.throws(() => readNow(read, Buffer.alloc(1)), isErrno('EBADF', codes.invalidArgument, 'read'));
});

test('splice moves bytes between pipes, waits for nothing, and refuses what could make it wait', () => {
  const from = pipe();
  const to = pipe({ nonblocking: true });
  assert.equal(splice(from.read, to.write, 100), undefined);
  setNonblocking(from.write, true);
  writeNow(from.write, Buffer.from('moved'));
  assert.equal(splice(from.read, to.write, 3), 3);
  assert.equal(splice(from.read, to.write, 100), 2);
  const buffer = Buffer.alloc(8);
  assert.equal(readNow(to.read, buffer), 5);
  assert.equal(buffer.toString('utf8', 0, 5), 'moved');

  const [left, right] = socketPair();
  setNonblocking(left, false);
  assert.throws(() => splice(from.read, left, 1), isErrno('EINVAL', codes.invalidArgument, 'splice'));
  closeSync(from.write);
  assert.equal(splice(from.read, to.write, 100), 0);
  for (const fd of [from.read, to.read, to.write, left, right]) closeSync(fd);
});

test('a file is spliced into a pipe', () => {
  const path = join(directory, 'spliced');
  writeFileSync(path, 'content');
  const file = openSync(path, 'r');
  const { read, write } = pipe();
  assert.equal(splice(file, write, 4096), 7);
  const buffer = Buffer.alloc(10);
  assert.equal(readSync(read, buffer), 7);
  assert.equal(buffer.toString('utf8', 0, 7), 'content');
  for (const fd of [file, read, write]) closeSync(fd);
});

test('pollOnce tells readable, writable, hung up and no reader, and does not wait', () => {
  const { read, write } = pipe();
  assert.equal(pollOnce(read, pollFlags.in), 0);
  assert.equal(pollOnce(write, pollFlags.out), pollFlags.out);
  const other = duplicate(write);
  closeSync(write);
  assert.equal(pollOnce(read, pollFlags.in), 0);
  closeSync(read);
  assert.equal(pollOnce(other, 0), pollFlags.err);
  closeSync(other);
  assert.throws(() => pollOnce(other, pollFlags.in), isErrno('EBADF', codes.invalidArgument, 'poll'));
});

test('an eventfd counts', () => {
  const fd = eventfd(3);
  const buffer = Buffer.alloc(8);
  assert.equal(readNow(fd, buffer), 8);
  assert.equal(buffer.readBigUInt64LE(), 3n);
  assert.equal(readNow(fd, buffer), undefined);
  closeSync(fd);
});

test('a copy is the same open file with a number of its own', () => {
  const { read, write } = pipe({ nonblocking: true });
  const copy = duplicate(write);
  assert.notEqual(copy, write);
  closeSync(write);
  writeNow(copy, Buffer.from('x'));
  assert.equal(readNow(read, Buffer.alloc(2)), 1);
  closeSync(copy);
  assert.equal(readNow(read, Buffer.alloc(2)), 0);
  closeSync(read);
});

test('close-on-exec can be taken off for one child and put back', () => {
  const { read, write } = pipe();
  setCloseOnExec(write, false);
  assert.equal(isCloseOnExec(write), false);
  setCloseOnExec(write, true);
  assert.equal(isCloseOnExec(write), true);
  closeSync(read);
  closeSync(write);
});

test('a range of descriptors is marked close-on-exec, or closed', () => {
  const fds = [duplicate(0), duplicate(0), duplicate(0)].sort((a, b) => a - b);
  const [first = 0, , last = 0] = fds;
  for (const fd of fds) setCloseOnExec(fd, false);
  assert.equal(last - first, 2, 'numbers in a row');
  closeRange(first, last, { cloexec: true });
  assert.deepEqual(fds.map(isCloseOnExec), [true, true, true]);
  closeRange(first, last);
  for (const fd of fds) assert.throws(() => closeSync(fd), { code: 'EBADF' });
  assert.throws(() => closeRange(5, 4), isErrno('EINVAL', codes.invalidArgument, 'close_range'));
});

test('a child inherits none of our descriptors', () => {
  const ofChild = (): string => spawnSync('/bin/ls', ['/proc/self/fd'], { encoding: 'utf8' }).stdout;
  const before = ofChild();
  const { read, write } = pipe();
  assert.equal(ofChild(), before);
  closeSync(read);
  closeSync(write);
});

test('inotify tells of a change of a file, and of a path that is not there', () => {
  const path = join(directory, 'watched');
  writeFileSync(path, '');
  const fd = inotify();
  const watch = inotifyAdd(fd, path, inotifyFlags.modify);
  const buffer = Buffer.alloc(4096);
  assert.equal(readNow(fd, buffer), undefined);
  writeFileSync(path, 'more', { flag: 'a' });
  assert.equal(readNow(fd, buffer), 16);
  assert.equal(buffer.readInt32LE(0), watch);
  assert.equal(buffer.readUInt32LE(4), inotifyFlags.modify);
  assert.throws(
    () => inotifyAdd(fd, join(directory, 'absent'), inotifyFlags.modify),
    isErrno('ENOENT', codes.notFound, 'inotify_add_watch'),
  );
  closeSync(fd);
});

test('a terminal carries bytes both ways and has the size it was given', () => {
  const { master, replica } = openTerminal();
  setWindowSize(master, { columns: 132, rows: 43 });
  assert.deepEqual(getWindowSize(replica), { columns: 132, rows: 43 });
  setNonblocking(master, true);
  setNonblocking(replica, true);
  writeNow(replica, Buffer.from('hi'));
  const buffer = Buffer.alloc(8);
  assert.equal(readNow(master, buffer), 2);
  closeSync(replica);
  closeSync(master);
});

test('only a terminal has a size, and it is one of 16 bits', () => {
  const { read, write } = pipe();
  assert.throws(() => getWindowSize(read), isErrno('ENOTTY', codes.unknown, 'ioctl'));
  assert.throws(() => setWindowSize(read, { columns: 65536, rows: 1 }), isErrno('EINVAL', codes.invalidArgument));
  closeSync(read);
  closeSync(write);
});

test('any bytes come out of a pipe as they went in', () => {
  const { read, write } = pipe({ nonblocking: true });
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 4096 }), (bytes) => {
      const buffer = new Uint8Array(5000);
      const written = writeNow(write, bytes);
      const count = readNow(read, buffer);
      return (
        written === bytes.length && count === bytes.length && Buffer.compare(buffer.subarray(0, count), bytes) === 0
      );
    }),
    { numRuns: 200 },
  );
  closeSync(read);
  closeSync(write);
});
