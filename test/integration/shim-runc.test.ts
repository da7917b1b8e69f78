import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { codeOf, codes } from '../../common/errdefs.ts';
import { closeRange } from '../../native/index.ts';
import { RuntimeFailure } from '../../shim/runc/errors.ts';
import { run } from '../../shim/runc/run.ts';
import { Runc } from '../../shim/runc/runc.ts';
import { eventually } from '../harness/wait.ts';

/** Neither gone nor a zombie that nobody has reaped. */
const runs = (pid: number): boolean => {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

/** A runtime that is a shell script, in a directory of its own. */
const fakeRuntime = (t: TestContext, script: string): { runc: Runc; directory: string } => {
  const directory = mkdtempSync(join(tmpdir(), 'runc-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const binaryName = join(directory, 'runtime');
  writeFileSync(binaryName, `#!/bin/sh\n${script}\n`);
  chmodSync(binaryName, 0o755);
  return {
    directory,
    runc: new Runc({ binaryName, root: join(directory, 'root'), systemdCgroup: false, logDirectory: directory }),
  };
};

const createOptions = (directory: string) => ({
  bundle: directory,
  pidFile: join(directory, 'pid'),
  consoleSocket: undefined,
  noPivotRoot: false,
  noNewKeyring: false,
});

const never = new AbortController().signal;

test('a runtime is given descriptors 0 to 2 and no other (CVE-2024-21626)', async (t) => {
  const { runc, directory } = fakeRuntime(t, 'ls -l /proc/self/fd > "$(dirname "$0")/fds"');
  closeRange(3, 0xffff_ffff, { cloexec: true }); // as a shim does at its start, for what it inherited
  const nothing = openSync('/dev/null', 'r+');
  const held = [openSync(directory, 'r'), openSync('/proc/self/cgroup', 'r')];
  await runc.create('web', createOptions(directory), [nothing, nothing, nothing], never);
  const names = [...readFileSync(join(directory, 'fds'), 'utf8').matchAll(/ (\d+) -> (\S+)/g)].map(([, fd, to]) => [
    fd,
    to,
  ]);
  // `ls` itself has the directory that it reads, and the shell's redirection is its output.
  const foreign = names.filter(([, to]) => to !== '/dev/null' && !to?.endsWith('/fds') && !to?.startsWith('/proc/'));
  assert.deepEqual(foreign, []);
  assert.equal(held.length, 2);
});

test("a failure carries the runtime's own last error, and its log does not stay", async (t) => {
  const entry = '{"level":"error","msg":"no such spec","time":"2026-01-01T00:00:00Z"}';
  const { runc, directory } = fakeRuntime(
    t,
    `while [ $# -gt 0 ]; do [ "$1" = --log ] && echo '${entry}' > "$2"; shift; done; exit 1`,
  );
  await assert.rejects(
    runc.start('web', never),
    (error) => error instanceof RuntimeFailure && error.detail === 'no such spec',
  );
  assert.deepEqual(readdirSync(directory), ['runtime']);
});

test('a runtime that cannot write a log is quoted from its standard error', async (t) => {
  const { runc } = fakeRuntime(t, 'echo "unknown flag: --log-format" >&2; exit 3');
  await assert.rejects(runc.pause('web'), /unknown flag: --log-format/);
});

test('a runtime that is not there is named', async () => {
  const runc = new Runc({
    binaryName: 'no-such-runtime',
    root: '/nonexistent',
    systemdCgroup: false,
    logDirectory: '/tmp',
  });
  await assert.rejects(runc.start('web', never), /exec: "no-such-runtime": executable file not found in \$PATH/);
});

test('a call that is cancelled ends the runtime and the hooks that it runs', async (t) => {
  const { runc, directory } = fakeRuntime(t, 'sleep 600 & echo $! > "$(dirname "$0")/hook"; wait');
  const hook = join(directory, 'hook');
  const controller = new AbortController();
  const nothing = openSync('/dev/null', 'r+');
  const call = runc.create('web', createOptions(directory), [nothing, nothing, nothing], controller.signal);
  while (!existsSync(hook) || readFileSync(hook, 'utf8') === '') await new Promise((resolve) => setTimeout(resolve, 5));
  controller.abort(new Error('the caller is gone'));
  await assert.rejects(call, (error) => codeOf(error) === codes.canceled);
  const pid = Number(readFileSync(hook, 'utf8'));
  await eventually(() => !runs(pid), { what: 'the end of the hook' }); // it has its signal, but may not have had a core since
});

test('a runtime that hangs is ended at its deadline', async () => {
  const begun = performance.now();
  await assert.rejects(run('/bin/sleep', ['600'], { what: 'runc state', deadlineMs: 50 }), (error) => {
    assert.match(String(error), /runc state took longer than 50 ms/);
    return codeOf(error) === codes.deadlineExceeded;
  });
  assert.ok(performance.now() - begun < 1_000);
});

test('what a runtime leaves behind with its output open delays nobody', async () => {
  const begun = performance.now();
  assert.equal(await run('/bin/sh', ['-c', 'sleep 3 & echo done'], { what: 'runc delete' }), 'done\n');
  assert.ok(performance.now() - begun < 2_000);
});

test('the environment of a runtime holds nothing of ours but where to find things', async () => {
  process.env['SECRET_OF_OURS'] = '1';
  const environment = await run('/usr/bin/env', [], { what: 'env' });
  delete process.env['SECRET_OF_OURS'];
  assert.match(environment, /^PATH=/m);
  assert.doesNotMatch(environment.replace(/^PATH=.*$/m, ''), /SECRET|NODE|npm/i);
});
