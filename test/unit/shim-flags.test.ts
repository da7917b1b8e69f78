import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFlags } from '../../shim/flags.ts';

test('flags are read as containerd writes them', () => {
  const args = [
    '-namespace',
    'default',
    '-address',
    '/run/c.sock',
    '-publish-binary',
    '/usr/bin/containerd',
    '-id',
    'web',
    '-debug',
    'start',
  ];
  const flags = parseFlags(args);
  assert.deepEqual(
    [flags.namespace, flags.address, flags.publishBinary, flags.id, flags.debug, flags.action],
    ['default', '/run/c.sock', '/usr/bin/containerd', 'web', true, 'start'],
  );
});

test('two dashes, an equals sign and a switch that is turned off mean what they mean in Go', () => {
  const flags = parseFlags(['--namespace=a=b', '-debug=false', '--bundle', '', 'delete', '-id', 'late']);
  assert.deepEqual([flags.namespace, flags.debug, flags.bundle, flags.id], ['a=b', false, '', '']);
  assert.deepEqual([flags.action, flags.operands], ['delete', ['-id', 'late']]);
});

test('a flag that is unknown or lacks its value is refused by name', () => {
  assert.throws(() => parseFlags(['-colour', 'red']), /-colour/);
  assert.throws(() => parseFlags(['-constructor', 'x']), /-constructor/);
  assert.throws(() => parseFlags(['-id']), /-id/);
});
