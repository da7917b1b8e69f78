import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { exec } from '../harness/exec.ts';
import { repository } from '../harness/repository.ts';

/** After set-up. */
const QUICKSTART_MS_MAX = 30_000;

test('the quickstart shows what it says, in time, and leaves nothing behind', async () => {
  const place = mkdtempSync('/tmp/hf-quick-');
  const began = performance.now();
  const { status, stdout, stderr } = await exec('npm', ['run', '--silent', 'quickstart'], {
    cwd: repository,
    env: { TMPDIR: place },
    timeoutMs: 120_000,
  });
  const ms = performance.now() - began;
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  assert.match(stdout, /Exited \(7\)/);
  assert.match(stdout, /^Done in /m);
  assert.ok(ms < QUICKSTART_MS_MAX, `${Math.round(ms)} ms`);
  const ofNpm = 'node-compile-cache';
  assert.deepEqual(
    readdirSync(place).filter((name) => name !== ofNpm),
    [],
  );
  rmSync(place, { recursive: true });
});
