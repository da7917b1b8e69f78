import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const tool = new URL('../../tools/sanitize.mjs', import.meta.url).pathname;

test('the tests of the addon pass under the address and undefined-behaviour sanitizers, which report nothing', () => {
  const { stdout, stderr, status } = spawnSync(process.execPath, [tool], { encoding: 'utf8', timeout: 500_000 });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  assert.match(stdout, /^sanitizers: 0 reports; tests: passed$/m);
});
