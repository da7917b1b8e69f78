import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { DetachKeys, parseDetachKeys } from '../../client/io/detach-keys.ts';

/** What comes through when these pieces are typed, and how often the keys were seen. */
const typing = async (keys: string, ...pieces: readonly string[]): Promise<{ through: string; left: number }> => {
  let left = 0;
  const stream = new DetachKeys(parseDetachKeys(keys), () => (left += 1));
  for (const piece of pieces) stream.write(piece);
  stream.end();
  let through = '';
  for await (const chunk of stream) through += String(chunk);
  await setImmediate();
  return { through, left };
};

test('keys are written as Docker writes them', () => {
  assert.deepEqual([...parseDetachKeys('ctrl-p,ctrl-q')], [0x10, 0x11]);
  assert.deepEqual([...parseDetachKeys('ctrl-],x')], [0x1d, 0x78]);
  assert.deepEqual([...parseDetachKeys('ctrl-@')], [0]);
  assert.deepEqual([...parseDetachKeys('')], []);
  for (const text of ['ctrl-', 'ctrl-1', 'pq', 'ctrl-p,,x']) assert.throws(() => parseDetachKeys(text), /is no key/);
});

test('the keys leave, in one piece or in several, and are not passed on', async () => {
  assert.deepEqual(await typing('ctrl-p,ctrl-q', 'ls\r\x10\x11'), { through: 'ls\r', left: 1 });
  assert.deepEqual(await typing('ctrl-p,ctrl-q', 'a\x10', '\x11'), { through: 'a', left: 1 });
});

test('what only began like the keys is passed on, in order', async () => {
  assert.deepEqual(await typing('ctrl-p,ctrl-q', '\x10', 'x\x10'), { through: '\x10x\x10', left: 0 });
  assert.deepEqual(await typing('x,x,y', 'xxx', 'y'), { through: 'x', left: 1 });
  assert.deepEqual(await typing('', '\x10\x11'), { through: '\x10\x11', left: 0 });
});

test('whatever is typed up to the keys comes through, and nothing else', () =>
  fc.assert(
    fc.asyncProperty(
      fc.stringMatching(/^[ab]{1,4}$/),
      fc.array(fc.stringMatching(/^[abc]{0,5}$/)),
      async (keys, pieces) => {
        const typed = pieces.join('');
        const at = typed.indexOf(keys);
        const { through, left } = await typing(keys.split('').join(','), ...pieces);
        if (at === -1) assert.deepEqual({ through, left }, { through: typed, left: 0 });
        else assert.ok(left > 0 && through.startsWith(typed.slice(0, at)));
      },
    ),
  ));
