import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  alreadyExists,
  CodedError,
  codes,
  deadlineExceeded,
  failedPrecondition,
  invalidArgument,
  notFound,
  unavailable,
  unimplemented,
} from '../../common/errdefs.ts';
import { UnreachableError } from '../../client/channel.ts';
import { closeNames } from '../../cli/close-names.ts';
import { startOfTail } from '../../cli/copy-log.ts';
import { explain } from '../../cli/failure.ts';
import { foreignVerb } from '../../cli/foreign-verbs.ts';
import { eventJson, eventLine } from '../../cli/render/event.ts';
import { bytes, clock, duration, startClock } from '../../cli/render/human.ts';
import { json } from '../../cli/render/json.ts';
import { plain } from '../../cli/render/plain.ts';
import { statusWords } from '../../cli/render/status.ts';
import { shorten, table } from '../../cli/render/table.ts';
import { startStatus } from '../../cli/unstartable.ts';

const SECOND = 1_000_000_000n;

test('a length of time is said as Docker says it', () => {
  const said = (seconds: number): string => duration(BigInt(seconds) * SECOND);
  assert.equal(duration(SECOND / 2n), 'Less than a second');
  assert.equal(duration(-SECOND), 'Less than a second');
  assert.equal(said(1), '1 second');
  assert.equal(said(59), '59 seconds');
  assert.equal(said(60), 'About a minute');
  assert.equal(said(119), 'About a minute');
  assert.equal(said(120), '2 minutes');
  assert.equal(said(3600), 'About an hour');
  assert.equal(said(7200), '2 hours');
  assert.equal(said(86_400), '24 hours');
  assert.equal(said(2 * 86_400), '2 days');
  assert.equal(said(14 * 86_400), '2 weeks');
  assert.equal(said(60 * 86_400), '2 months');
  assert.equal(said(730 * 86_400), '2 years');
});

test('a status is said as Docker says it', () => {
  const none = { startedAtNanos: undefined, exit: undefined };
  assert.equal(statusWords({ ...none, state: 'running', startedAtNanos: 0n }, 180n * SECOND), 'Up 3 minutes');
  assert.equal(statusWords({ ...none, state: 'running' }, 0n), 'Up');
  assert.equal(statusWords({ ...none, state: 'paused', startedAtNanos: 0n }, 5n * SECOND), 'Up 5 seconds (Paused)');
  assert.equal(statusWords({ ...none, state: 'created' }, 0n), 'Created');
  assert.equal(statusWords({ ...none, state: 'none' }, 0n), 'Not running');
  const exit = { status: 7, atNanos: SECOND };
  assert.equal(statusWords({ ...none, state: 'stopped', exit }, 121n * SECOND), 'Exited (7) 2 minutes ago');
  assert.equal(statusWords({ ...none, state: 'stopped', exit: { status: 255, atNanos: 0n } }, SECOND), 'Exited (255)');
});

test('a table’s columns are as wide as their widest cell', () => {
  assert.equal(
    table(
      ['A', 'LONG'],
      [
        ['abcdef', 'x'],
        ['a', ''],
      ],
    ),
    'A        LONG\nabcdef   x\na\n',
  );
  assert.equal(shorten('sleep 100', 9), 'sleep 100');
  assert.equal(shorten('sleep 1000', 9), 'sleep 10…');
});

test('what others have named cannot move our cursor', () => {
  assert.equal(plain('a\x1b[2J\nb\u009b'), 'a\\x1b[2J\\x0ab\\x9b');
  assert.ok(!table(['ID'], [['\x1b[31m']]).includes('\x1b'));
});

test('bytes are said in units of 1024', () => {
  assert.deepEqual([0, 512, 1024, 44_353_126].map(bytes), ['0 B', '512 B', '1.0 KiB', '42.3 MiB']);
});

test('JSON has numbers for large integers that fit, objects for maps, base64 for bytes', () => {
  const value = { a: 1n, b: 2n ** 63n, c: new Map([['k', 'v']]), d: Buffer.from('hi'), e: new Uint8Array([104, 105]) };
  assert.equal(json(value), '{"a":1,"b":"9223372036854775808","c":{"k":"v"},"d":"aGk=","e":"aGk="}\n');
});

test('an event is one line, with the names that filters know', () => {
  const exitedAt = { seconds: 1n, nanos: 5 };
  const event = {
    sequence: 417n,
    timestampNanos: SECOND,
    namespace: 'default',
    topic: '/tasks/exit',
    payload: {
      type: 'containerd.events.TaskExit',
      value: { containerId: 'web', id: 'web', pid: 8, exitStatus: 7, exitedAt },
    },
  } as const;
  const when = '1970-01-01T00:00:01.000000000Z';
  const fields = 'container_id=web id=web pid=8 exit_status=7 exited_at=1970-01-01T00:00:01.000000005Z';
  assert.equal(eventLine(event), `417 ${when} default /tasks/exit ${fields}\n`);
  assert.deepEqual(JSON.parse(eventJson(event)).event, {
    container_id: 'web',
    id: 'web',
    pid: 8,
    exit_status: 7,
    exited_at: '1970-01-01T00:00:01.000000005Z',
  });
});

test('a tail begins where so many lines are left, over the borders of chunks too', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cli-tail-'));
  const tail = async (text: string, lines: number): Promise<string> => {
    const path = join(folder, 'log');
    writeFileSync(path, text);
    await using file = await open(path);
    return text.slice(await startOfTail(file, lines));
  };
  try {
    assert.equal(await tail('1\n2\n3\n', 2), '2\n3\n');
    assert.equal(await tail('1\n2\n3', 2), '2\n3');
    assert.equal(await tail('1\n2\n3\n', 0), '');
    assert.equal(await tail('1\n2\n3\n', 3), '1\n2\n3\n');
    assert.equal(await tail('1\n2\n3\n', 9), '1\n2\n3\n');
    assert.equal(await tail('\n\n\n', 2), '\n\n');
    assert.equal(await tail('', 5), '');
    const long = 'x'.repeat(70_000);
    assert.equal(await tail(`${long}\n${long}\n${long}\n`, 2), `${long}\n${long}\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a command that is not there is 127, one that cannot be invoked 126, anything else neither', () => {
  const create =
    'failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ';
  assert.equal(startStatus(`${create}exec: "foo": executable file not found in $PATH: unknown`), 127);
  assert.equal(startStatus(`${create}exec: "/foo": stat /foo: no such file or directory: unknown`), 127);
  assert.equal(startStatus(`${create}exec: "/etc": is a directory: unknown`), 126);
  assert.equal(startStatus(`${create}exec: "/etc/passwd": permission denied: unknown`), 126);
  assert.equal(startStatus(`${create}exec /plain: exec format error`), 126);
  assert.equal(startStatus(`${create}error mounting "/x" to rootfs: no such file or directory`), undefined);
});

test('an error is one line that says what to do next', () => {
  const unreachable = explain(new UnreachableError('/run/h.sock', 'ENOENT'), 'ps');
  assert.equal(unreachable.status, 1);
  assert.match(unreachable.words, /\/run\/h\.sock \(there is no such socket\): start one with "holdfastd --address/);
  assert.match(explain(new UnreachableError('/run/h.sock', 'EACCES'), 'ps').words, /run holdfast as root/);
  const several = explain(new CodedError(codes.unknown, 'one\n two\n'), 'run');
  assert.deepEqual(several, { words: 'one two', status: 125 });
});

test('verbs with the status of a process in the container fail with 125, the others with 1', () => {
  const statuses = ['run', 'exec', 'shell', 'attach', 'ps', 'stop', undefined].map(
    (verb) => explain(new Error('x'), verb).status,
  );
  assert.deepEqual(statuses, [125, 125, 125, 125, 1, 1, 1]);
});

test('no error ends in the name of a code', () => {
  const words = [
    notFound('namespace', 'web'),
    alreadyExists('namespace', 'web'),
    invalidArgument('size is not a number'),
    failedPrecondition('process is not running'),
    deadlineExceeded('State'),
    unavailable('shim is gone'),
    unimplemented('a history of events'),
  ].map((error) => explain(error, undefined).words);
  assert.deepEqual(words, [
    'there is no namespace "web"',
    'there is already a namespace "web"',
    'size is not a number',
    'process is not running',
    'State: it took too long',
    'shim is gone: try again when the daemon is up',
    'a history of events: this daemon cannot do that',
  ]);
});

test('of an error and one more in undoing it, the first is told', () => {
  const both = new SuppressedError(new Error('undo'), notFound('container', 'web'), 'both');
  assert.equal(explain(both, 'rm').words, 'there is no container "web"');
});

test('a verb of Docker’s that is none here is answered with what to do instead', () => {
  assert.match(foreignVerb('images') ?? '', /^there is no "holdfast images": .*--rootfs/);
  assert.match(foreignVerb('start') ?? '', /holdfast run/);
  assert.equal(foreignVerb('frobnicate'), undefined);
});

test('names are close that begin alike, or differ by a slip or two', () => {
  assert.deepEqual(closeNames('wbe', ['web', 'worker', 'db']), ['web']);
  assert.deepEqual(closeNames('3f0', ['3f09c1aa', '3f0bd2cc', 'web']), ['3f09c1aa', '3f0bd2cc']);
  assert.deepEqual(closeNames('postgers', ['postgres', 'post', 'redis']), ['postgres']);
  assert.deepEqual(closeNames('zebra', ['web']), []);
});

test('CPU time and starts are written as ps writes them', () => {
  assert.equal(clock(65n * SECOND), '00:01:05');
  assert.equal(clock((2n * 86_400n + 3n * 3_600n) * SECOND), '2-03:00:00');
  const at = BigInt(new Date(2026, 2, 1, 14, 5).getTime()) * 1_000_000n;
  assert.equal(startClock(at, at + 60n * SECOND), '14:05');
  assert.equal(startClock(at, at + 86_400n * SECOND), 'Mar01');
});
