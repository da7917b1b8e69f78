import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complete } from '../../cli/completion/complete.ts';
import { makeProgram } from '../../cli/program.ts';

const container = (id: string, state: string) => ({ id, state, description: '' });

/** What is offered for a command line, with paths in brackets. */
const offered = async (...words: readonly string[]): Promise<string[]> => {
  const { candidates, paths } = await complete(makeProgram(), words, (values) => ({
    namespaces: async () => ['default', 'moby'],
    containers: async () =>
      values.get('--namespace') === 'moby'
        ? [container('theirs', 'running')]
        : [container('web', 'running'), container('worker', 'paused'), container('over', 'stopped')],
    signals: () => ['INT', 'KILL', 'TERM'],
  }));
  return [...candidates.map(({ text }) => text), ...(paths === undefined ? [] : [`[${paths}]`])];
};

test('verbs are completed, those below a verb too, and the hidden one is not offered', async () => {
  assert.deepEqual(await offered('st'), ['stop', 'stats']);
  assert.deepEqual(await offered('shim', ''), ['ls']);
  assert.deepEqual(await offered('help', 'unp'), ['unpause']);
  assert.ok(!(await offered('')).includes('__complete'));
});

test('options are completed before the verb and behind it', async () => {
  assert.deepEqual(await offered('--addr'), ['--address']);
  assert.deepEqual(await offered('run', '--root'), ['--rootfs']);
  assert.deepEqual(await offered('ps', '--name'), ['--namespace']);
});

test('values of options are completed where they are known', async () => {
  assert.deepEqual(await offered('run', '--network', ''), ['none', 'host']);
  assert.deepEqual(await offered('kill', '-s', 'K'), ['KILL']);
  assert.deepEqual(await offered('run', '--rootfs', '/tm'), ['[directories]']);
  assert.deepEqual(await offered('-n', 'mo'), ['moby']);
  assert.deepEqual(await offered('run', '--name', ''), []);
});

test('containers are offered that the verb can do something with, once each', async () => {
  assert.deepEqual(await offered('exec', ''), ['web']);
  assert.deepEqual(await offered('unpause', ''), ['worker']);
  assert.deepEqual(await offered('rm', '-f', 'web', ''), ['worker', 'over']);
  assert.deepEqual(await offered('logs', 'web', ''), []);
  assert.deepEqual(await offered('-n', 'moby', 'rm', ''), ['theirs']);
  assert.deepEqual(await offered('rm', '--namespace=moby', ''), ['theirs']);
});

test('behind the operands of run and exec stands the container’s own command line', async () => {
  assert.deepEqual(await offered('run', '--rootfs', '/r', 'ls', '-'), ['[files]']);
  assert.deepEqual(await offered('exec', 'web', 'ls', '-'), ['[files]']);
});
