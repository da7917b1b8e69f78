import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nowWholeMs } from '../../common/timestamp.ts';
import { parseDuration } from '../../cli/parse/duration.ts';
import { parseMount, parseVolume } from '../../cli/parse/mount.ts';
import { collectEnv } from '../../cli/parse/pairs.ts';
import { parseSignal } from '../../cli/parse/signal.ts';
import { parseSince } from '../../cli/parse/since.ts';
import { parseSize } from '../../cli/parse/size.ts';

test('durations are numbers with units, added up', () => {
  assert.equal(parseDuration('90s'), 90_000_000_000n);
  assert.equal(parseDuration('1h30m'), 5_400_000_000_000n);
  assert.equal(parseDuration('2d'), 172_800_000_000_000n);
  assert.equal(parseDuration('250ms'), 250_000_000n);
  for (const text of ['', '10', 'm', '-1s', '1 s', '1.5h']) assert.equal(parseDuration(text), undefined, text);
});

test('events begin behind a sequence, at a time, or some time ago', () => {
  assert.deepEqual(parseSince('417'), { sequence: 417n });
  assert.deepEqual(parseSince('1970-01-01T00:00:01Z'), { timeNanos: 1_000_000_000n });
  const ago = parseSince('10m');
  assert.ok('timeNanos' in ago && nowWholeMs() - ago.timeNanos >= 600_000_000_000n);
  assert.throws(() => parseSince('yesterday'), /duration/);
  assert.throws(() => parseSince('2026-13-99'), /duration/);
});

test('a signal has a number and names, in any case, with SIG or without', () => {
  for (const text of ['15', 'TERM', 'SIGTERM', 'term', 'sigTerm']) assert.equal(parseSignal(text), 15);
  assert.equal(parseSignal('RTMIN+3'), 37);
  assert.equal(parseSignal('SIGRTMAX-1'), 63);
  assert.equal(parseSignal('rtmax'), 64);
  for (const text of ['', '0', '65', '-9', 'FOO', 'RTMIN+99', 'RTMIN-1'])
    assert.throws(() => parseSignal(text), /name/);
});

test('sizes are in units of 1024', () => {
  assert.equal(parseSize('512m'), 512 << 20);
  assert.equal(parseSize('1.5G'), 1.5 * 2 ** 30);
  assert.equal(parseSize('64KiB'), 64 << 10);
  assert.equal(parseSize('100'), 100);
  assert.equal(parseSize('100b'), 100);
  for (const text of ['', 'm', '-1m', '1x', '9999999999t']) assert.throws(() => parseSize(text), /bytes/);
});

test('a mount is written as Docker writes it, or as ctr does', () => {
  const expected = { destination: '/mnt', type: 'bind', source: '/tmp' };
  assert.deepEqual(parseVolume('/tmp:/mnt:ro'), { ...expected, options: ['rbind', 'rprivate', 'ro'] });
  assert.deepEqual(parseVolume('/tmp:/mnt'), { ...expected, options: ['rbind', 'rprivate', 'rw'] });
  assert.deepEqual(parseMount('type=bind,source=/tmp,target=/mnt,readonly'), {
    ...expected,
    options: ['rbind', 'rprivate', 'ro'],
  });
  assert.deepEqual(parseMount('type=bind,src=/tmp,dst=/mnt,options=rbind:ro'), {
    ...expected,
    options: ['rbind', 'ro'],
  });
  assert.equal(parseMount('type=tmpfs,target=/mnt').type, 'tmpfs');
  for (const text of ['/tmp', ':/mnt', '/tmp:mnt', 'name:/mnt', '/tmp:/mnt:x', '/tmp:/a:ro:b', '/proc/none:/mnt']) {
    assert.throws(() => parseVolume(text), { code: 'commander.invalidArgument' }, text);
  }
  for (const text of ['type=bind,target=/mnt', 'type=volume,src=/tmp,dst=/mnt', 'src=/tmp,dst=/mnt,colour=red']) {
    assert.throws(() => parseMount(text), { code: 'commander.invalidArgument' }, text);
  }
});

test('-e NAME passes our own value on, and nothing if we have none', () => {
  process.env['CLI_TEST_OURS'] = 'ours';
  const env = ['A=1', 'A=2=3', 'CLI_TEST_OURS', 'CLI_TEST_NONE', 'EMPTY='].reduce<ReadonlyMap<string, string>>(
    (before, text) => collectEnv(text, before),
    new Map(),
  );
  assert.deepEqual(
    [...env],
    [
      ['A', '2=3'],
      ['CLI_TEST_OURS', 'ours'],
      ['EMPTY', ''],
    ],
  );
  assert.throws(() => collectEnv('=x'), /NAME=VALUE/);
});
