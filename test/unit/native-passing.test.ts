import assert from 'node:assert/strict';
import { closeSync, readSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { codes } from '../../common/errdefs.ts';
import {
  duplicate,
  pipe,
  readNow,
  receiveDescriptors,
  sendDescriptors,
  setNonblocking,
  socketPair,
  writeNow,
} from '../../native/index.ts';
import { isCloseOnExec, isErrno, openDescriptors } from './native-harness.ts';

/** Descriptor 0, that often. */
const stdinTimes = (count: number): number[] => Array.from({ length: count }, () => 0);

for (const type of ['stream', 'datagram', 'seqpacket'] as const) {
  test(`descriptors arrive with their message on a ${type} socket, as the same open files, closing on exec`, () => {
    const [left, right] = socketPair(type);
    const { read, write } = pipe();
    assert.equal(sendDescriptors(left, Buffer.from('two'), [read, write]), 3);
    closeSync(read);
    closeSync(write);

    const message = receiveDescriptors(right, 100, 4);

    assert.equal(message?.data.toString(), 'two');
    const [gotRead = -1, gotWrite = -1] = message.fds;
    assert.equal(message.fds.length, 2);
    assert.deepEqual(message.fds.map(isCloseOnExec), [true, true]);
    writeSync(gotWrite, 'through');
    const buffer = Buffer.alloc(10);
    assert.equal(readSync(gotRead, buffer), 7);
    for (const fd of [left, right, gotRead, gotWrite]) closeSync(fd);
  });
}

test('a message without descriptors, nothing yet, and the end are told apart', () => {
  const [left, right] = socketPair();
  assert.equal(receiveDescriptors(right, 10, 1), undefined);
  sendDescriptors(left, Buffer.from('plain'), []);
  assert.deepEqual(receiveDescriptors(right, 10, 0), { data: Buffer.from('plain'), fds: [] });
  closeSync(left);
  assert.deepEqual(receiveDescriptors(right, 10, 1), { data: Buffer.alloc(0), fds: [] });
  closeSync(right);
});

test('more descriptors than allowed are an error, and not one of them stays open', () => {
  const [left, right] = socketPair();
  const before = openDescriptors();
  for (const [sent, allowed] of [
    [3, 2],
    [2, 1],
    [1, 0],
    [253, 252],
  ] as const) {
    sendDescriptors(left, Buffer.from('x'), stdinTimes(sent));
    assert.throws(
      () => receiveDescriptors(right, 10, allowed),
      isErrno('ETOOMANYREFS', codes.resourceExhausted, 'recvmsg'),
    );
    assert.deepEqual(openDescriptors(), before);
  }
  closeSync(left);
  closeSync(right);
});

test('a packet longer than allowed is an error, and its descriptors are closed', () => {
  const [left, right] = socketPair('seqpacket');
  const before = openDescriptors();
  sendDescriptors(left, Buffer.alloc(100), [0]);
  assert.throws(() => receiveDescriptors(right, 99, 1), isErrno('EMSGSIZE', codes.resourceExhausted, 'recvmsg'));
  assert.deepEqual(openDescriptors(), before);
  closeSync(left);
  closeSync(right);
});

test('a message may carry 253 descriptors and no more', () => {
  const [left, right] = socketPair();
  const before = openDescriptors();
  assert.equal(sendDescriptors(left, Buffer.from('x'), stdinTimes(253)), 1);
  const message = receiveDescriptors(right, 1, 253);
  assert.equal(message?.fds.length, 253);
  for (const fd of message.fds) closeSync(fd);
  assert.deepEqual(openDescriptors(), before);
  const tooMany = (): unknown => sendDescriptors(left, Buffer.from('x'), stdinTimes(254));
  assert.throws(tooMany, isErrno('EINVAL', codes.invalidArgument, 'sendmsg'));
  closeSync(left);
  closeSync(right);
});

test('a full socket takes nothing and does not wait; a peer that is gone is Unavailable', () => {
  const [left, right] = socketPair('seqpacket');
  setNonblocking(left, false);
  const message = Buffer.alloc(4096);
  while (sendDescriptors(left, message, [0]) !== undefined);
  assert.equal(sendDescriptors(left, message, [0]), undefined);
  closeSync(right);
  // Once for what the peer had not read, then for good.
  assert.throws(() => sendDescriptors(left, message, [0]), isErrno('ECONNRESET', codes.unavailable, 'sendmsg'));
  assert.throws(() => sendDescriptors(left, message, [0]), isErrno('EPIPE', codes.unavailable, 'sendmsg'));
  closeSync(left);
});

test('a descriptor that is not open, or no data to carry them, is refused', () => {
  const [left, right] = socketPair();
  assert.throws(() => sendDescriptors(left, Buffer.from('x'), [999_999]), isErrno('EBADF', codes.invalidArgument));
  assert.throws(() => sendDescriptors(left, Buffer.alloc(0), [0]), isErrno('EINVAL', codes.invalidArgument));
  assert.throws(() => receiveDescriptors(right, 0, 1), isErrno('EINVAL', codes.invalidArgument));
  assert.throws(() => receiveDescriptors(right, (1 << 20) + 1, 1), isErrno('EINVAL', codes.invalidArgument));
  assert.throws(() => receiveDescriptors(right, 1, 254), isErrno('EINVAL', codes.invalidArgument));
  closeSync(left);
  closeSync(right);
});

test('bytes go both ways on every kind of pair', () => {
  for (const type of ['stream', 'datagram', 'seqpacket'] as const) {
    const [left, right] = socketPair(type);
    const buffer = Buffer.alloc(4);
    for (const [from, to] of [
      [left, right],
      [right, left],
    ] as const) {
      assert.equal(writeNow(from, Buffer.from('ping')), 4);
      assert.equal(readNow(to, buffer), 4);
    }
    closeSync(left);
    closeSync(duplicate(right));
    closeSync(right);
  }
});
