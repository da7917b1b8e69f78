import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mountFlags } from '../../native/index.ts';
import { compactLowerDirectories, parseMountOptions } from '../../native/mount-options.ts';

test('flags are told from data, and a later option takes an earlier one back', () => {
  const parsed = parseMountOptions(['rbind', 'ro', 'nosuid', 'rw', 'rprivate', 'size=1m', 'mode=755']);
  assert.equal(parsed.flags, mountFlags.bind | mountFlags.recursive | mountFlags.noSuid);
  assert.equal(parsed.propagation, mountFlags.private | mountFlags.recursive);
  assert.equal(parsed.data, 'size=1m,mode=755');
  assert.equal(parsed.loop, false);
});

test('an option that is named like a property of every object is data', () => {
  assert.equal(parseMountOptions(['constructor', '__proto__', 'toString']).data, 'constructor,__proto__,toString');
});

test('the layers of an overlay are the same ones after their common directory was taken out', () => {
  const name = fc.stringMatching(/^[a-z0-9]{1,6}$/);
  const layer = fc.array(name, { minLength: 1, maxLength: 5 }).map((parts) => `/${parts.join('/')}`);
  fc.assert(
    fc.property(fc.array(layer, { minLength: 2, maxLength: 6 }), (layers) => {
      const compact = compactLowerDirectories(['upperdir=/u', `lowerdir=${layers.join(':')}`, 'workdir=/w']);
      if (compact === undefined) return;
      const lower = compact.options[1]?.replace('lowerdir=', '').split(':') ?? [];
      assert.ok(lower.every((one) => one !== '' && !one.startsWith('/')));
      assert.deepEqual(
        lower.map((one) => `${compact.directory}/${one}`),
        layers,
      );
      assert.equal(compact.options.length, 3);
    }),
  );
});

test('a layer with an escaped colon in its name is left as it is', () => {
  assert.equal(compactLowerDirectories(['lowerdir=/a/b\\:c:/a/d']), undefined);
});
