import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codes } from '../../common/errdefs.ts';
import { killError, lastLoggedError } from '../../shim/runc/errors.ts';

test('the last error of a runtime log is what a client reads', () => {
  const log = [
    '{"level":"warning","msg":"slow","time":"2026-01-01T00:00:00Z"}',
    '{"level":"error","msg":"container still running","time":"2026-01-01T00:00:00Z"}',
    '{"level":"error","msg":"  exec: \\"criu\\": executable file not found in $PATH  ","time":"2026-01-01T00:00:00Z"}',
    '{"level":"info","msg":"bye","time":"2026-01-01T00:00:00Z"}',
    '',
  ].join('\n');
  assert.equal(lastLoggedError(log), 'exec: "criu": executable file not found in $PATH');
});

test('a log that was cut in the middle of a line still gives the error before', () => {
  assert.equal(lastLoggedError('{"level":"error","msg":"one"}\n{"level":"error","ms'), 'one');
  assert.equal(lastLoggedError('not json\n'), undefined);
});

test('a kill of what is gone is NotFound, in the words that dockerd looks for', () => {
  for (const text of ['container not running', 'os: process already finished', 'No such process']) {
    const error = killError(new Error(text));
    assert.equal(error.code, codes.notFound);
    assert.equal(error.message, 'process already finished: not found');
  }
  assert.equal(killError(new Error('container does not exist')).message, 'no such container: not found');
  assert.equal(killError(new Error('permission denied')).code, codes.unknown);
});
