import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import fc from 'fast-check';
import { algorithmFor, digestFault, splitDigest } from '../../common/digest.ts';

const hex = (digits: number): string => 'a1'.repeat(digits / 2);

for (const [text, fault] of [
  [`sha256:${hex(64)}`, undefined],
  [`sha384:${hex(96)}`, undefined],
  [`sha512:${hex(128)}`, undefined],
  ['', 'invalid checksum digest format'],
  ['sha256', 'invalid checksum digest format'],
  ['sha256:', 'invalid checksum digest format'],
  [`:${hex(64)}`, 'invalid checksum digest format'],
  [`sha256:${hex(62)}`, 'invalid checksum digest length'],
  [`sha512:${hex(64)}`, 'invalid checksum digest length'],
  [`sha256:${'A'.repeat(64)}`, 'invalid checksum digest format'],
  [`sha256:${'../'.repeat(21)}a`, 'invalid checksum digest format'],
  [`sha256:${hex(64)}\n`, 'invalid checksum digest length'],
  [`md5:${hex(32)}`, 'unsupported digest algorithm'],
  [`MD5:${hex(32)}`, 'invalid checksum digest format'],
  ['a/b:c', 'invalid checksum digest format'],
] as const) {
  test(`${JSON.stringify(text)} is ${fault === undefined ? 'a digest' : `none: ${fault}`}`, () =>
    assert.equal(digestFault(text), fault));
}

test('what a digest is made of is safe in a path', () =>
  fc.assert(
    fc.property(fc.string(), fc.constantFrom('sha256:', 'sha512:', ''), (value, prefix) => {
      const text = `${prefix}${value}`;
      if (digestFault(text) !== undefined) return;
      const { algorithm, hex } = splitDigest(text);
      assert.match(`${algorithm}/${hex}`, /^sha\d+\/[a-f0-9]+$/);
    }),
  ));

test('the digest of any bytes is one, and says by which algorithm', () =>
  fc.assert(
    fc.property(fc.uint8Array(), fc.constantFrom('sha256', 'sha384', 'sha512'), (bytes, algorithm) => {
      const digest = `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
      assert.equal(digestFault(digest), undefined);
      assert.equal(algorithmFor(digest), algorithm);
    }),
  ));

test('what names no algorithm that is known is made with the canonical one', () => {
  for (const text of ['', 'x', 'md5:x', '__proto__:x']) assert.equal(algorithmFor(text), 'sha256');
});
