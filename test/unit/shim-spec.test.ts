import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSpec, withTerminal } from '../../shim/spec.ts';

test('an unlimited rlimit of an exec reaches the runtime digit by digit', () => {
  const process = '{"args":["sh"],"rlimits":[{"type":"RLIMIT_CORE","hard":18446744073709551615,"soft":1024}]}';
  const given = withTerminal(process, true);
  assert.ok(given.includes('"hard":18446744073709551615,'), given);
  assert.ok(given.endsWith('"terminal":true}'), given);
});

test('an exec spec that is no object is an invalid argument', () => {
  assert.throws(() => withTerminal('[', false), /invalid argument/);
  assert.throws(() => withTerminal('null', false), /invalid argument/);
});

test('only a pid namespace of its own is taken for one', (t) => {
  const bundle = mkdtempSync(join(tmpdir(), 'spec-'));
  t.after(() => rmSync(bundle, { recursive: true }));
  const privateIn = (namespaces: unknown): boolean => {
    writeFileSync(join(bundle, 'config.json'), JSON.stringify({ linux: { namespaces } }));
    return readSpec(bundle).privatePidNamespace;
  };
  assert.equal(privateIn([{ type: 'mount' }, { type: 'pid' }]), true);
  assert.equal(privateIn([{ type: 'pid', path: '/proc/1/ns/pid' }]), false);
  assert.equal(privateIn([{ type: 'mount' }]), false);
});
