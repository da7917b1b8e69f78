import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codes, unavailable } from '../../common/errdefs.ts';
import { Inbox, MESSAGE_OVERHEAD_BYTES, STREAM_UNREAD_BYTES_MAX } from '../../common/ttrpc/stream.ts';
import { all } from './ttrpc-harness.ts';

const inbox = (onReturn?: () => void): Inbox<string> => new Inbox((bytes) => Buffer.from(bytes).toString(), onReturn);

test('messages are read in order, before and after they come', async () => {
  const box = inbox();
  box.push(Buffer.from('a'));
  const read = all(box);
  await Promise.resolve();
  box.push(Buffer.from('b'));
  box.end();
  assert.deepEqual(await read, ['a', 'b']);
});

test('what came before a failure is still read', async () => {
  const box = inbox();
  box.push(Buffer.from('a'));
  box.end(unavailable('ttrpc: closed'));
  assert.equal((await box.next()).value, 'a');
  await assert.rejects(box.next(), { code: codes.unavailable });
});

test('a reader that waits gets the failure at once', async () => {
  const box = inbox();
  const read = box.next();
  box.end(unavailable('ttrpc: closed'));
  await assert.rejects(read, { code: codes.unavailable });
});

for (const size of [1 << 20, 0]) {
  test(`a stream fails that holds more messages of ${size} bytes than it may`, async () => {
    const box = inbox();
    const message = Buffer.alloc(size);
    const count = Math.floor(STREAM_UNREAD_BYTES_MAX / (size + MESSAGE_OVERHEAD_BYTES));
    for (let i = 0; i < count; i += 1) assert.equal(box.push(message), true);
    assert.equal(box.push(message), false);
    await assert.rejects(box.next(), { code: codes.resourceExhausted });
  });
}

test('messages that come and go never add up, however many', async () => {
  const box = inbox();
  const message = Buffer.alloc(1 << 10);
  for (let i = 0; i < 5_000; i += 1) assert.equal(box.push(message), true);
  for (let i = 0; i < 100_000; i += 1) {
    assert.equal((await box.next()).value?.length, message.length);
    assert.equal(box.push(message), true);
  }
});

test('a message that waits does not keep alive the chunk that it came in', async () => {
  const box = inbox();
  const chunk = Buffer.from(new ArrayBuffer(65_536));
  chunk.write('small');
  box.push(chunk.subarray(0, 5));
  chunk.fill(0);
  assert.equal((await box.next()).value, 'small');
});

test('a reader that leaves its loop is told of, and later messages are dropped', async () => {
  let left = 0;
  const box = inbox(() => (left += 1));
  box.push(Buffer.from('a'));
  for await (const message of box) if (message === 'a') break;
  assert.equal(left, 1);
  assert.equal(box.push(Buffer.from('b')), true);
  assert.deepEqual(await all(box), []);
});

test('a second reader is refused, so that no message is given twice', async () => {
  const box = inbox();
  const first = box.next();
  await assert.rejects(box.next(), TypeError);
  box.push(Buffer.from('a'));
  assert.equal((await first).value, 'a');
});
