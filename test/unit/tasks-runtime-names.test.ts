import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { codeOf, codes } from '../../common/errdefs.ts';
import { isRuncShim, resolveRuntime } from '../../daemon/shims/runtime-names.ts';

const none: ReadonlyMap<string, string> = new Map();

test('names of runc are served by our own shim, unless the configuration says otherwise', () => {
  for (const name of [
    'io.containerd.runc.v2',
    'io.containerd.runc.v1',
    'io.containerd.runtime.v1.linux',
    'io.containerd.holdfast.v1',
  ]) {
    assert.deepEqual(resolveRuntime(name, none), { kind: 'own' });
    assert.deepEqual(resolveRuntime(name, new Map([[name, '/bin/true']])), { kind: 'foreign', binary: '/bin/true' });
  }
});

test('io.containerd.NAME.vN is containerd-shim-NAME-vN on PATH', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-names-'));
  const path = process.env['PATH'];
  try {
    const binary = join(folder, 'containerd-shim-probe-v7');
    writeFileSync(binary, '#!/bin/sh\n');
    chmodSync(binary, 0o755);
    process.env['PATH'] = `/nowhere:${folder}`;
    assert.deepEqual(resolveRuntime('io.containerd.probe.v7', none), { kind: 'foreign', binary });
  } finally {
    process.env['PATH'] = path;
    rmSync(folder, { recursive: true });
  }
});

test('what cannot be found is said in containerd’s words, with its code', () => {
  const cases: [string, string][] = [
    ['', 'no runtime name'],
    [
      'io.containerd.nope.v1',
      'runtime "io.containerd.nope.v1" binary not installed "containerd-shim-nope-v1": file does not exist',
    ],
    ['/nowhere/shim', 'invalid custom binary path: stat /nowhere/shim: no such file or directory'],
  ];
  for (const [name, message] of cases) {
    assert.throws(
      () => resolveRuntime(name, none),
      (error: Error) => codeOf(error) === codes.unknown && error.message === message,
    );
  }
  assert.throws(
    () => resolveRuntime('runc', none),
    /^Error: invalid runtime name runc, correct|invalid runtime name runc/,
  );
});

test('options for runc are for shims of runc', () => {
  assert.equal(isRuncShim('/usr/bin/containerd-shim-runc-v2'), true);
  assert.equal(isRuncShim('/usr/bin/containerd-shim-kata-v2'), false);
});
