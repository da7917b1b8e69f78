import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verbArguments } from '../../cli/parse/verb-arguments.ts';
import { ownArguments } from '../../common/arguments.ts';

test('a signal after kill is a signal, as a number and as a name', () => {
  assert.deepEqual(verbArguments(['kill', '-15', 'web']), ['kill', '--signal', '15', 'web']);
  assert.deepEqual(verbArguments(['-n', 'kill', 'kill', '-TERM', 'web']), [
    '-n',
    'kill',
    'kill',
    '--signal',
    'TERM',
    'web',
  ]);
  assert.deepEqual(verbArguments(['kill', '-s', '9', 'web']), ['kill', '-s', '9', 'web']);
});

test('a number with a dash is no id, and what a container is told to run is left alone', () => {
  assert.throws(() => verbArguments(['rm', '-1']), /-1 is no option of rm/);
  const run = ['run', '--rootfs', '/r', 'kill', '-9', '1'];
  assert.deepEqual(verbArguments(run), run);
});

test('arguments come out of the launcher’s marks as they went in, and unmarked ones are left', () => {
  assert.deepEqual(ownArguments(['node', 'main', '=run', '=--env-file=/x', '==', '=']), [
    'run',
    '--env-file=/x',
    '=',
    '',
  ]);
  assert.deepEqual(ownArguments(['node', 'main', 'spare']), ['spare']);
  assert.deepEqual(ownArguments(['node', 'main']), []);
});
