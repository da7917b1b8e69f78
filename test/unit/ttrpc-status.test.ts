import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Code, CodedError, codes, notFound } from '../../common/errdefs.ts';
import {
  decodeMetadata,
  encodeMetadata,
  METADATA_LENGTH_MAX,
  METADATA_PAIRS_MAX,
} from '../../common/ttrpc/metadata.ts';
import { decodeStatus, encodeStatus, STATUS_MESSAGE_LENGTH_MAX } from '../../common/ttrpc/status.ts';
import { decodeTimeout, encodeTimeout } from '../../common/ttrpc/timeout.ts';

test('an error has the same code and message at the other end', () => {
  const failures = Object.values(codes).filter((code) => code !== codes.ok);
  fc.assert(
    fc.property(fc.constantFrom(...failures), fc.string(), (code: Code, message) => {
      const error = decodeStatus(encodeStatus(new CodedError(code, message)));
      assert.equal(error?.code, code);
      assert.equal(error?.message, message);
    }),
  );
});

test('the cause of an error stays at home', () => {
  const status = encodeStatus(notFound('container', 'web', { cause: new Error('/secret/path') }));
  assert.equal(JSON.stringify(status).includes('secret'), false);
});

test('what is no CodedError is unknown, with its message', () => {
  assert.deepEqual(encodeStatus(new TypeError('oops')), { code: codes.unknown, message: 'oops', details: [] });
  assert.deepEqual(encodeStatus('text'), { code: codes.unknown, message: 'text', details: [] });
  assert.equal(encodeStatus(undefined).code, codes.unknown);
});

test('whatever is thrown, it does not look like success', () => {
  assert.equal(encodeStatus(new CodedError(codes.ok, 'odd')).code, codes.unknown);
});

test('no status and a status of 0 are no error; a code that nobody knows is unknown', () => {
  assert.equal(decodeStatus(undefined), undefined);
  assert.equal(decodeStatus({ code: 0, message: 'fine', details: [] }), undefined);
  assert.equal(decodeStatus({ code: 99, message: 'new', details: [] })?.code, codes.unknown);
  assert.equal(decodeStatus({ code: -1, message: '', details: [] })?.code, codes.unknown);
});

test('a message of any length becomes one that fits a frame', () => {
  const { message } = encodeStatus(new Error('x'.repeat(STATUS_MESSAGE_LENGTH_MAX * 100)));
  assert.equal(message.length, STATUS_MESSAGE_LENGTH_MAX);
});

test('metadata keeps all values of a key in order, whatever the key', () => {
  const key = fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'toString'));
  fc.assert(
    fc.property(fc.array(fc.tuple(key, fc.array(fc.string(), { minLength: 1, maxLength: 5 }))), (pairs) => {
      const metadata = new Map(pairs);
      assert.deepEqual(decodeMetadata(encodeMetadata(metadata)), metadata);
    }),
  );
});

test('too much metadata is refused, by number and by length, before it is sent and when it comes in', () => {
  const pair = { key: 'k', value: 'v' };
  const many = Array.from({ length: METADATA_PAIRS_MAX + 1 }, () => pair);
  assert.throws(() => decodeMetadata(many), { code: codes.resourceExhausted });
  assert.throws(() => encodeMetadata(new Map([['k', many.map(({ value }) => value)]])), {
    code: codes.resourceExhausted,
  });
  const long = [{ key: 'k', value: 'v'.repeat(METADATA_LENGTH_MAX) }];
  assert.throws(() => decodeMetadata(long), { code: codes.resourceExhausted });
  assert.equal(decodeMetadata([{ key: 'k', value: 'v'.repeat(METADATA_LENGTH_MAX - 1) }]).size, 1);
});

test('a timeout is whole nanoseconds; none is 0', () => {
  assert.equal(encodeTimeout(1.5), 1_500_000n);
  assert.equal(encodeTimeout(undefined), 0n);
  assert.equal(encodeTimeout(Infinity), 0n);
  assert.equal(encodeTimeout(Number.MAX_VALUE), 2n ** 63n - 1n);
});

test('a timeout that comes in is ms, rounded up; one that has passed already is 0', () => {
  assert.equal(decodeTimeout(0n), undefined);
  assert.equal(decodeTimeout(1n), 1);
  assert.equal(decodeTimeout(2_000_000n), 2);
  assert.equal(decodeTimeout(-5n), 0);
});
