import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, codes } from '../../common/errdefs.ts';
import { Turns } from '../../daemon/tasks/turns.ts';

const never = new AbortController().signal;

test('verbs of one task take turns, those of another do not wait for them', async () => {
  const turns = new Turns();
  const order: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const first = turns.run('a', never, async () => {
    await promise;
    order.push('first');
  });
  const second = turns.run('a', never, async () => void order.push('second'));
  await turns.run('b', never, async () => void order.push('other'));
  resolve();
  await Promise.all([first, second]);
  assert.deepEqual(order, ['other', 'first', 'second']);
});

test('a caller that goes away before its turn is told at once, and its verb never begins', async () => {
  const turns = new Turns();
  const { promise, resolve } = Promise.withResolvers<void>();
  const first = turns.run('a', never, () => promise);
  const controller = new AbortController();
  let begun = false;
  const second = turns.run('a', controller.signal, async () => void (begun = true));
  controller.abort();
  await assert.rejects(second, (error) => codeOf(error) === codes.canceled);
  resolve();
  await first;
  await turns.run('a', never, async () => undefined);
  assert.equal(begun, false);
  assert.equal(turns.busy, 0);
});

test('a caller that goes away during its turn does not cut the verb', async () => {
  const turns = new Turns();
  const controller = new AbortController();
  const { promise, resolve } = Promise.withResolvers<string>();
  const run = turns.run('a', controller.signal, () => promise);
  await Promise.resolve();
  await Promise.resolve();
  controller.abort();
  resolve('done');
  assert.equal(await run, 'done');
});
