import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { codes } from '../../common/errdefs.ts';
import {
  ErrnoError,
  exitStatus,
  getResourceLimit,
  isSubreaper,
  nowNanos,
  pidfdInfo,
  pidfdOpen,
  pidfdSend,
  pipe,
  Poller,
  pollFlags,
  pollOnce,
  reap,
  setResourceLimit,
  setSubreaper,
  spawnProcess,
} from '../../native/index.ts';
import { isErrno, becomesChildOf, openDescriptors } from './native-harness.ts';

/** PIDFD_INFO_EXIT. */
const knowsExitsOfStrangers = ((): boolean => {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return major > 6 || (major === 6 && minor >= 15);
})();

const shell = (script: string): ChildProcess & { pid: number } => {
  const child = spawn('/bin/sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  assert.ok(child.pid !== undefined);
  return child as ChildProcess & { pid: number }; // checked above
};

const ended = async (pidfd: number): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>();
  using poller = new Poller(pidfd, { readable: true }, () => resolve());
  await promise;
  poller.close();
};

test('our clock reads what other programs read', () => {
  const read = (): bigint => BigInt(execFileSync('date', ['+%s%N'], { encoding: 'utf8' }).trim());
  for (let round = 0; round < 20; round += 1) {
    const before = read();
    const now = nowNanos();
    const after = read();
    assert.ok(before <= now && now <= after, `${before} ${now} ${after}`);
  }
});

/** Runs a program by spawnProcess and gives its output and exit. */
const spawned = async (
  argv: readonly [string, ...string[]],
  env: Record<string, string> = {},
): Promise<{ text: string; exit: unknown }> => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-spawn-'));
  const [none, file] = [openSync('/dev/null', 'r'), openSync(join(folder, 'out'), 'w+')];
  try {
    const pid = spawnProcess(argv[0], argv, env, [none, file, file]);
    for (;;) {
      const end = reap({ pid });
      if (end !== undefined) return { text: readFileSync(join(folder, 'out'), 'utf8'), exit: end.exit };
      await sleep(2);
    }
  } finally {
    for (const fd of [none, file]) closeSync(fd);
    rmSync(folder, { recursive: true });
  }
};

test('a program that is spawned has a session of its own, plain signals, and of us nothing but what it is given', async () => {
  const status = await spawned(['/bin/cat', '/proc/self/status', '/proc/self/stat']);
  assert.match(status.text, /^SigBlk:\t0{16}$/m);
  assert.match(status.text, /^SigIgn:\t0{16}$/m);
  const [, pid, session] = /^(\d+) \(cat\) \S \d+ \d+ (\d+) /m.exec(status.text) ?? [];
  assert.equal(session, pid);
  assert.equal((await spawned(['/bin/pwd'])).text, '/\n');
  assert.equal((await spawned(['/usr/bin/env'], { ONLY: 'this' })).text, 'ONLY=this\n');
  const held = openSync('/dev/null', 'r'); // close-on-exec, as all that we open
  assert.match((await spawned(['/bin/ls', `/proc/self/fd/${held}`])).text, /No such file/);
  closeSync(held);
  assert.deepEqual((await spawned(['/bin/sh', '-c', 'exit 7'])).exit, { code: 7 });
});

test('a program that is spawned may get our own 0 to 2 in any order', async () => {
  const { read, write } = pipe();
  const pid = spawnProcess('/bin/sh', ['sh', '-c', 'readlink /proc/$$/fd/0 /proc/$$/fd/1'], {}, [2, write, 0]);
  closeSync(write);
  while (reap({ pid }) === undefined) await sleep(2);
  const [zero] = readFileSync(read, 'utf8').split('\n');
  closeSync(read);
  assert.equal(zero, readlinkSync('/proc/self/fd/2'));
});

test('a program that is not there, or is none, is not spawned', () => {
  const stdio = [0, 1, 2] as const;
  assert.throws(() => spawnProcess('/nonexistent', ['x'], {}, stdio), isErrno('ENOENT', codes.notFound, 'posix_spawn'));
  assert.throws(() => spawnProcess('/etc/passwd', ['x'], {}, stdio), isErrno('EACCES', codes.permissionDenied));
  assert.throws(() => spawnProcess('/bin/true', [], {}, stdio), isErrno('EINVAL', codes.invalidArgument));
});

test('a pidfd becomes readable when its process ends, and a peek leaves the exit for libuv', async () => {
  const child = shell('exit 7');
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const pidfd = pidfdOpen(child.pid);
  assert.deepEqual(pidfdInfo(pidfd)?.exit, undefined);

  await ended(pidfd);

  assert.deepEqual(reap({ pidfd }, { peek: true }) ?? { pid: child.pid, exit: { code: 7 } }, {
    pid: child.pid,
    exit: { code: 7 },
  });
  assert.equal(await exited, 7);
  assert.equal(reap({ pid: child.pid }), undefined);
  closeSync(pidfd);
});

test('a signal goes to exactly the process of the pidfd, and after its end it is NotFound', async () => {
  const child = shell('exec sleep 30');
  const exited = new Promise((resolve) => child.once('exit', (_, signal) => resolve(signal)));
  const pidfd = pidfdOpen(child.pid);
  pidfdSend(pidfd, 0);
  pidfdSend(pidfd, 15);
  assert.equal(await exited, 'SIGTERM');
  assert.throws(() => pidfdSend(pidfd, 15), isErrno('ESRCH', codes.notFound, 'pidfd_send_signal'));
  assert.throws(() => pidfdOpen(child.pid), isErrno('ESRCH', codes.notFound, 'pidfd_open'));
  closeSync(pidfd);
});

test('an orphan comes to the subreaper, which learns its exit code and its signal once', async () => {
  setSubreaper(true);
  try {
    assert.equal(isSubreaper(), true);
    for (const [script, exit, status] of [
      ['sleep 0.1; exit 42', { code: 42 }, 42],
      ['sleep 0.1; exit 255', { code: 255 }, 255],
      ['exec sleep 30', { signal: 9, dumped: false }, 137],
    ] as const) {
      const { stdout } = spawnSync('/bin/sh', ['-c', `(${script}) >&- 2>&- & echo $!`], { encoding: 'utf8' });
      const pid = Number(stdout);
      await becomesChildOf(pid, process.pid);
      if ('signal' in exit) process.kill(pid, 'SIGKILL');
      const pidfd = pidfdOpen(pid);
      assert.equal(pidfdInfo(pidfd)?.exit, undefined);
      await ended(pidfd);

      assert.deepEqual(reap({ pidfd }, { peek: true }), { pid, exit });
      assert.deepEqual(reap('any', { peek: true }), { pid, exit });
      const reaped = reap({ pid });

      assert.deepEqual(reaped, { pid, exit });
      assert.equal(reaped && exitStatus(reaped.exit), status);
      assert.equal(reap({ pidfd }), undefined);
      closeSync(pidfd);
    }
  } finally {
    setSubreaper(false);
  }
  assert.equal(isSubreaper(), false);
});

test('a child that still runs has no exit yet', () => {
  const child = shell('exec sleep 30');
  assert.equal(reap({ pid: child.pid }), undefined);
  assert.equal(reap('any', { peek: true }), undefined);
  child.kill('SIGKILL');
});

test('the exit of a process that is not our child is known once it has been reaped, where the kernel can tell', async () => {
  const parent = shell('sh -c "sleep 0.2; exit 9" & echo $!; wait; exec sleep 30');
  const pid = Number(
    await new Promise<string>((resolve) => parent.stdout?.once('data', (data) => resolve(String(data)))),
  );
  const pidfd = pidfdOpen(pid);
  assert.equal(pidfdInfo(pidfd)?.pid ?? pid, pid);
  assert.equal(pidfdInfo(pidfd)?.ppid ?? parent.pid, parent.pid);

  await ended(pidfd);
  const reaped = async (): Promise<void> => {
    while ((pollOnce(pidfd, pollFlags.in) & pollFlags.hup) === 0) await sleep(5);
  };
  if (knowsExitsOfStrangers) await reaped();

  assert.deepEqual(pidfdInfo(pidfd)?.exit, knowsExitsOfStrangers ? { code: 9 } : undefined);
  closeSync(pidfd);
  parent.kill('SIGKILL');
});

test('what is no pidfd gives no information instead of a wrong one', () => {
  assert.equal(pidfdInfo(0), undefined);
  assert.throws(() => pidfdInfo(999_999), isErrno('EBADF', codes.invalidArgument, 'ioctl'));
});

test('a limit that is set is the one that is read, and a soft limit above the hard one is refused', () => {
  const before = getResourceLimit('core');
  setResourceLimit('core', { soft: 0n, hard: before.hard });
  assert.deepEqual(getResourceLimit('core'), { soft: 0n, hard: before.hard });
  setResourceLimit('core', before);
  assert.throws(
    () => setResourceLimit('nofile', { soft: 2n, hard: 1n }),
    isErrno('EINVAL', codes.invalidArgument, 'prlimit'),
  );
  assert.throws(() => setResourceLimit('nofile', { soft: -1n, hard: 1n }), isErrno('EINVAL', codes.invalidArgument));
  assert.throws(
    () => setResourceLimit('nofile', { soft: 2n ** 64n, hard: 1n }),
    isErrno('EINVAL', codes.invalidArgument),
  );
});

test('an error says what failed, and keeps the kernel’s name for it beside the code that a client gets', () => {
  const error = ((): unknown => {
    try {
      return pidfdOpen(2 ** 31 - 1);
    } catch (thrown) {
      return thrown;
    }
  })();
  assert.ok(error instanceof ErrnoError);
  assert.equal(error.message, 'pidfd_open: no such process');
  assert.equal(error.errno, 3);
  assert.equal(error.name, 'ErrnoError');
});

test('a process with a parent death signal ends with its parent', async () => {
  const parent = spawn('/bin/sh', ['-c', '"$0" "$1" death & exec sleep 30', process.execPath, program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pid = Number(
    await new Promise<string>((resolve) => parent.stdout.once('data', (data) => resolve(String(data)))),
  );
  const pidfd = pidfdOpen(pid);
  parent.kill('SIGKILL');
  await ended(pidfd);
  closeSync(pidfd);
});

const program = new URL('./native-process-child.ts', import.meta.url).pathname;

test('execve keeps the pid, the subreaper flag and the chosen descriptors, and no other', () => {
  const { stdout, stderr, status } = spawnSync(process.execPath, [program, 'exec'], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const told: unknown = JSON.parse(stdout);
  assert.deepEqual(told, { samePid: true, subreaper: true, kept: 'kept', given: true, argument: 'one argument' });
});

test('a program started by execve has no ignored or blocked signal', () => {
  const { stdout, stderr, status } = spawnSync(process.execPath, [program, 'signals'], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^SigBlk:\t0000000000000000$/m);
  assert.match(stdout, /^SigIgn:\t0000000000000000$/m);
});

test('a program started by execve has the environment it is given and nothing else', () => {
  const { stdout } = spawnSync(process.execPath, [program, 'environment'], { encoding: 'utf8' });
  assert.equal(stdout, 'ONLY=this\nEMPTY=\n');
});

test('an execve that fails throws, and leaves signals and descriptors as they were', () => {
  const { stdout, stderr, status } = spawnSync(process.execPath, [program, 'exec-fails'], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), {
    errnoName: 'ENOENT',
    code: codes.notFound,
    sameSignals: true,
    closeOnExec: true,
  });
});

test('nothing here leaves a descriptor behind', () => {
  const before = openDescriptors();
  assert.throws(() => pidfdOpen(2 ** 31 - 1));
  closeSync(pidfdOpen(process.pid));
  assert.deepEqual(openDescriptors(), before);
});
