import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { codes } from '../../common/errdefs.ts';
import * as native from '../../native/index.ts';
import { isErrno, openDescriptors } from './native-harness.ts';

/** What no call takes for a descriptor, a process id or a number. */
const noNumbers: readonly unknown[] = [
  undefined,
  null,
  NaN,
  Infinity,
  -1,
  0.5,
  2 ** 53,
  '1',
  1n,
  true,
  {},
  [],
  Symbol('1'),
];
/** What no call takes for a path. */
const noPaths: readonly unknown[] = [undefined, null, 1, {}, '', 'a\0b', '\0', 'x'.repeat(4096), Buffer.from('/tmp')];
const noBytes: readonly unknown[] = [
  undefined,
  null,
  'text',
  [1],
  new Uint16Array(1),
  new DataView(new ArrayBuffer(1)),
  new ArrayBuffer(1),
];

const refused = isErrno('EINVAL', codes.invalidArgument);

const exported: Readonly<Record<string, unknown>> = { ...native };

/** Calls with arguments that the types forbid. */
const call = (name: keyof typeof native, ...args: readonly unknown[]): unknown =>
  Reflect.apply(exported[name] as (...args: unknown[]) => unknown, undefined, args); // every name below is a function

test('what is no number, or is out of range, is InvalidArgument for every call that takes a descriptor', () => {
  for (const bad of noNumbers) {
    for (const [name, ...rest] of [
      ['pidfdOpen'],
      ['pidfdSend', 0],
      ['pidfdInfo'],
      ['duplicate'],
      ['setNonblocking', true],
      ['setCloseOnExec', true],
      ['closeRange', 5],
      ['readNow', Buffer.alloc(1)],
      ['writeNow', Buffer.alloc(1)],
      ['splice', 0, 1],
      ['pollOnce', 1],
      ['inotifyAdd', '/tmp', 2],
      ['sendDescriptors', Buffer.alloc(1), []],
      ['receiveDescriptors', 1, 1],
      ['peerCredentials'],
      ['lockFile', 'shared'],
      ['allocateNow', 0, 1],
      ['openIn', '/tmp', { flags: 0 }],
      ['setWindowSize', { columns: 1, rows: 1 }],
      ['getWindowSize'],
    ] as const) {
      assert.throws(() => call(name, bad, ...rest), refused, `${name}(${String(bad)})`);
    }
    assert.throws(() => new native.Poller(bad as number, {}, () => undefined), refused);
    assert.throws(() => call('splice', 0, bad, 1), refused);
    assert.throws(() => call('sendDescriptors', 0, Buffer.alloc(1), [0, bad]), refused);
  }
});

test('what is no path is InvalidArgument for every call that takes one', () => {
  for (const bad of noPaths) {
    for (const [name, ...rest] of [
      ['execve', ['x'], [], []],
      ['openFifo', { read: true }],
      ['isFifo'],
      ['listenUnix', { mode: 0o600 }],
      ['connectUnix'],
      ['sendDatagram', Buffer.alloc(1)],
      ['setTimes', { atime: 0n, mtime: 0n }],
      ['makeNode', { mode: 0 }],
      ['makeFifo', 0o600],
      ['getXattr', 'user.x'],
      ['setXattr', 'user.x', Buffer.alloc(1)],
      ['listXattrs'],
      ['removeXattr', 'user.x'],
    ] as const) {
      assert.throws(() => call(name, bad, ...rest), refused, `${name}(${String(bad)})`);
    }
  }
});

test('a promise is rejected, not the call refused, when its arguments are wrong', async () => {
  for (const bad of noPaths) {
    await assert.rejects(async () => call('unmount', bad), refused);
    await assert.rejects(async () => call('pivotRoot', '/tmp', bad), refused);
    const target = { source: '', target: bad, type: '', flags: 0, data: '' };
    const promise = call('mount', target);
    assert.ok(promise instanceof Promise);
    await assert.rejects(promise, refused);
  }
  await assert.rejects(async () => call('allocate', 0, -1, 1), refused);
});

test('only a Uint8Array is bytes', () => {
  for (const bad of noBytes) {
    assert.throws(() => call('readNow', 0, bad), refused);
    assert.throws(() => call('writeNow', 0, bad), refused);
    assert.throws(() => call('sendDescriptors', 0, bad, []), refused);
    assert.throws(() => call('sendDatagram', '/tmp/x', bad), refused);
    assert.throws(() => call('setXattr', '/tmp', 'user.x', bad), refused);
  }
});

test('an unknown word for a kind, a lock or a resource is refused', () => {
  assert.throws(() => call('socketPair', 'raw'), refused);
  assert.throws(() => call('lockFile', 0, 'maybe'), refused);
  assert.throws(() => call('getResourceLimit', 'patience'), refused);
  assert.throws(() => call('reap', { pid: 0 }), refused);
  assert.throws(() => call('reap', { pid: -1 }), refused);
  assert.throws(() => call('reap', {}), refused);
});

test('signals are 0 to 64', () => {
  for (const bad of [-1, 65, 1.5, 'SIGTERM', undefined]) {
    assert.throws(() => call('setParentDeathSignal', bad), refused);
    assert.throws(() => call('pidfdSend', 0, bad), refused);
  }
});

test('execve without a program name, with items that are no strings, or a descriptor that is not open stays here', () => {
  assert.throws(() => call('execve', '/bin/true', [], [], []), refused);
  assert.throws(() => call('execve', '/bin/true', ['true', 1], [], []), refused);
  assert.throws(() => call('execve', '/bin/true', ['true'], ['A=\0'], []), refused);
  assert.throws(() => call('execve', '/bin/true', 'true', [], []), refused);
  assert.throws(() => call('execve', '/bin/true', ['x'.repeat(131_072)], [], []), refused);
  assert.throws(
    () =>
      call(
        'execve',
        '/bin/true',
        Array.from({ length: 70_000 }, () => 'x'),
        [],
        [],
      ),
    refused,
  );
  assert.throws(
    () => call('execve', '/bin/true', ['true'], [], [999_999]),
    isErrno('EBADF', codes.invalidArgument, 'fcntl'),
  );
});

test('an error names the argument and what it must be', () => {
  assert.throws(() => call('pidfdOpen', 0), { message: 'pidfdOpen: argument 1 must be a process id (1 or more)' });
});

test('an exception of a getter that is run on the way is the one that is thrown', () => {
  const fds: number[] = [0];
  Object.defineProperty(fds, 0, {
    get: () => {
      throw new RangeError('of the getter');
    },
  });
  assert.throws(() => call('sendDescriptors', 0, Buffer.alloc(1), fds), {
    name: 'RangeError',
    message: 'of the getter',
  });
});

test('bytes that a getter takes away meanwhile are not touched', () => {
  const data = new Uint8Array(new ArrayBuffer(1 << 20));
  const fds: number[] = [0];
  Object.defineProperty(fds, 0, {
    get: () => {
      structuredClone(data.buffer, { transfer: [data.buffer] });
      return 0;
    },
  });
  const [left, right] = native.socketPair();
  assert.throws(() => call('sendDescriptors', left, data, fds), refused);
  assert.equal(native.receiveDescriptors(right, 10, 1), undefined);
  native.closeRange(left, left);
  native.closeRange(right, right);
});

test('random arguments to every raw call of the addon end in an error or a result, never in a crash or a leak', () => {
  const before = openDescriptors();
  const program = new URL('./native-arguments-child.ts', import.meta.url).pathname;
  const runs = process.env['HOLDFAST_TEST_LONG'] === '1' ? '200000' : '20000';
  const { stdout, stderr, status, signal } = spawnSync(process.execPath, [program, runs], {
    encoding: 'utf8',
    timeout: 300_000,
  });
  assert.deepEqual({ status, signal }, { status: 0, signal: null }, stderr);
  assert.match(stdout, /^every call was refused and answered at least once$/m);
  assert.deepEqual(openDescriptors(), before);
});
