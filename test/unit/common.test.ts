import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { packAny, unpackAny } from '../../common/any.ts';
import { replaceFile } from '../../common/atomic-file.ts';
import { groupOf, shimHash } from '../../common/bootstrap.ts';
import { withDeadline } from '../../common/deadline.ts';
import { about, CodedError, codeOf, codes, notFound } from '../../common/errdefs.ts';
import { checkIdentifier } from '../../common/identifiers.ts';
import { KeyedQueue } from '../../common/keyed-queue.ts';
import { requireNamespace } from '../../common/namespace.ts';
import { Scope } from '../../common/scope.ts';
import { formatNanos, GO_ZERO_TIME_SECONDS, nanosFromTimestamp, timestampFromNanos } from '../../common/timestamp.ts';
import { Options } from '../../proto/gen/containerd/runc/v1/runc_options.ts';

test('an error keeps its code when a subject is put before it, and reads as clients of containerd expect', () => {
  const error = about('create', notFound('container', 'web'));
  assert.equal(error.code, codes.notFound);
  assert.equal(error.message, 'create: container "web": not found');
  assert.equal(codeOf(new Error('x')), codes.unknown);
});

test('identifiers that could leave their folder, or are too long, are refused with InvalidArgument', () => {
  for (const bad of ['', '../x', 'a/b', 'a..b', '.a', 'a-', 'a\0b', 'ä', 'x'.repeat(77), 'a b']) {
    assert.throws(
      () => checkIdentifier(bad),
      (error) => error instanceof CodedError && error.code === codes.invalidArgument,
      bad,
    );
  }
  for (const good of ['a', 'web-1', 'A.b_c', 'x'.repeat(76), '__proto__'.replaceAll('_', '0')])
    assert.equal(checkIdentifier(good), good);
});

test('no accepted identifier holds a path separator, a NUL or a dot-dot', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (text) => {
      try {
        checkIdentifier(text);
      } catch {
        return true;
      }
      return !/[/\0]/.test(text) && !text.includes('..') && text.length <= 76;
    }),
    { numRuns: 5000 },
  );
});

test('a call without a namespace is FailedPrecondition, as in containerd', () => {
  for (const none of [undefined, '']) {
    assert.throws(() => requireNamespace(none), {
      code: codes.failedPrecondition,
      message: 'namespace is required: failed precondition',
    });
  }
  assert.throws(() => requireNamespace('../x'), { code: codes.invalidArgument });
});

test("times keep their nanoseconds there and back, before 1970 too; Go's zero time is unset", () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(10n ** 18n), max: 4n * 10n ** 18n }),
      (nanos) => nanosFromTimestamp(timestampFromNanos(nanos)) === nanos,
    ),
  );
  assert.equal(nanosFromTimestamp({ seconds: GO_ZERO_TIME_SECONDS, nanos: 0 }), 0n);
  assert.equal(formatNanos(1_700_000_000_000_000_001n), '2023-11-14T22:13:20.000000001Z');
});

test('an Any gives its message only to the one who asks for its type', () => {
  const any = packAny('containerd.runc.v1.Options', Options, { ...Options.create(), root: '/run/x' });
  assert.equal(unpackAny(any, 'containerd.runc.v1.Options', Options)?.root, '/run/x');
  assert.equal(
    unpackAny({ ...any, typeUrl: `type.googleapis.com/${any.typeUrl}` }, 'containerd.runc.v1.Options', Options)?.root,
    '/run/x',
  );
  assert.equal(unpackAny(any, 'containerd.runc.v1.CheckpointOptions', Options), undefined);
});

test('turns of one key run in order, one at a time, and a failed one does not stop the next', async () => {
  const queue = new KeyedQueue();
  const order: string[] = [];
  const turn = (name: string, ms: number) => async () => {
    order.push(`${name} begins`);
    await sleep(ms);
    order.push(`${name} ends`);
  };
  const slow = queue.run('a', turn('slow', 20));
  const failing = queue.run('a', () => Promise.reject(new Error('no')));
  const last = queue.run('a', turn('last', 1));
  const other = queue.run('b', turn('other', 1));
  await Promise.all([slow, assert.rejects(failing), last, other]);
  assert.deepEqual(
    order.filter((entry) => !entry.startsWith('other')),
    ['slow begins', 'slow ends', 'last begins', 'last ends'],
  );
  assert.ok(order.indexOf('other ends') < order.indexOf('slow ends'), 'another key waited');
  assert.equal(queue.busy, 0);
});

test('a deadline ends a wait even when the body ignores its signal, and names what was waited for', async () => {
  let aborted = false;
  const never = withDeadline('state of "web"', 10, (signal) => {
    signal.addEventListener('abort', () => (aborted = true));
    return new Promise<void>(() => undefined);
  });
  await assert.rejects(never, { code: codes.deadlineExceeded, message: /^state of "web" took longer than 10 ms/ });
  assert.ok(aborted);
  const parent = new AbortController();
  const cut = withDeadline('x', 10_000, () => new Promise<void>(() => undefined), parent.signal);
  parent.abort();
  await assert.rejects(cut, { code: codes.canceled });
});

test('a scope waits for what it started, and one failure ends the siblings', async () => {
  const ended: string[] = [];
  const scope = new Scope();
  scope.run(async (signal) => {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    ended.push('sibling');
  });
  scope.run(async () => {
    await sleep(1);
    throw new Error('first');
  });
  await assert.rejects(scope.join(), /first/);
  assert.deepEqual(ended, ['sibling']);
});

test('a replaced file is never seen in part and leaves no temporary file, not even after a failure', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hf-'));
  try {
    const path = join(folder, 'ledger.json');
    replaceFile(path, 'one');
    replaceFile(path, 'two', { sync: true });
    assert.equal(readFileSync(path, 'utf8'), 'two');
    assert.throws(() => replaceFile(join(folder, 'missing/ledger.json'), 'x'));
    assert.deepEqual(readdirSync(folder), ['ledger.json']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a shim is named by address, namespace and group; the first group annotation wins; __proto__ is no annotation', () => {
  const identity = { address: '/run/a.sock', namespace: 'n', group: 'g' };
  assert.match(shimHash(identity), /^[0-9a-f]{32}$/);
  assert.notEqual(shimHash(identity), shimHash({ ...identity, namespace: 'm' }));
  assert.notEqual(
    shimHash({ ...identity, namespace: 'ab', group: 'c' }),
    shimHash({ ...identity, namespace: 'a', group: 'bc' }),
  );
  assert.equal(groupOf('c', undefined), 'c');
  assert.equal(groupOf('c', { 'io.kubernetes.cri.sandbox-id': 'pod', 'io.containerd.runc.v2.group': 'g' }), 'g');
  assert.equal(groupOf('c', JSON.parse('{"__proto__": {"io.containerd.runc.v2.group": "evil"}}')), 'c');
});
