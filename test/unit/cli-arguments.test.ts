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
  assert.deepEqual(verbArguments(['kill', 'web', '-0']), ['kill', 'web', '--signal', '0']);
});

test('an address and a namespace may stand behind every verb, whatever -a and -n are to it', () => {
  assert.deepEqual(verbArguments(['ps', '-a', '/run/h.sock']), ['ps', '--address', '/run/h.sock']);
  assert.deepEqual(verbArguments(['ps', '-a', '-q']), ['ps', '-a', '-q']);
  assert.deepEqual(verbArguments(['kill', '-9', '-a', '/h', 'web']), [
    'kill',
    '--signal',
    '9',
    '--address',
    '/h',
    'web',
  ]);
  assert.deepEqual(verbArguments(['kill', '-a', 'web']), ['kill', '-a', 'web']);
  assert.deepEqual(verbArguments(['logs', '-n', 'moby', 'web']), ['logs', '--namespace', 'moby', 'web']);
  assert.deepEqual(verbArguments(['logs', '-n', '10', 'web']), ['logs', '-n', '10', 'web']);
});

test('a number with a dash is no id, and what a container is told to run is left alone', () => {
  assert.throws(() => verbArguments(['rm', '-1']), /-1 is no option of rm/);
  assert.throws(() => verbArguments(['stop', 'web', '-9']), /-9 is no option of stop/);
  const exec = ['exec', 'web', 'kill', '-9', '1'];
  assert.deepEqual(verbArguments(exec), exec);
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
