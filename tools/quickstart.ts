// `npm run quickstart`: shows, on a daemon of its own, that a container does not notice that its daemon is killed. Every
// step is checked; the first that is not as told ends it with status 1. Nothing stays behind.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const bin = join(import.meta.dirname, '../bin');
const BUSYBOX = '/bin/busybox';
const CGROUPS = '/sys/fs/cgroup';
/** No step takes longer, ms, unless something is wrong. */
const STEP_MS = 10_000;
const EXIT_STATUS = 7;
/** Counts until somebody makes the file /stop, and then ends with 7. */
const SCRIPT = `i=0; while [ ! -e /stop ]; do i=$((i+1)); echo "still here: $i"; sleep 0.2; done; echo "leaving"; exit ${EXIT_STATUS}`;

if (process.getuid?.() !== 0) {
  console.error('quickstart: must be run as root: containers need mounts, namespaces and cgroups');
  process.exit(1);
}
const directory = mkdtempSync(join(tmpdir(), 'holdfast-quickstart-'));
const [address, rootfs, logFile] = ['h.sock', 'rootfs', 'daemon.log'].map((name) => join(directory, name)) as [
  string,
  string,
  string,
];
// A namespace of its own: cgroups have its name.
const namespace = `quickstart-${process.pid}`;
const environment = { ...process.env, HOLDFAST_ADDRESS: address, HOLDFAST_NAMESPACE: namespace };
let daemon: ChildProcess | undefined;

const main = async (): Promise<void> => {
  tell('A root file system, made of busybox:');
  makeRootfs();
  note(`${rootfs}: ${readdirSync(rootfs).join(' ')}`);

  tell('A daemon of its own, beside whatever this machine runs:');
  await startDaemon();

  tell('A container that counts:');
  holdfast('run', '-d', '--name', 'counter', '--rootfs', rootfs, 'sh', '-c', SCRIPT);
  await follow(3);
  holdfast('ps');
  const { pid } = container();
  expect(pid > 0 && isAlive(pid), `a running container, and ps says pid ${pid}`);

  tell('We kill the daemon with SIGKILL. The container goes on writing:');
  await killDaemon();
  const before = lines().length;
  await until('five more lines while no daemon is there', () => lines().length >= before + 5);
  expect(isAlive(pid), `process ${pid} to be alive`);
  note(`process ${pid} is alive; it wrote ${before} lines before the kill, and ${lines().length} by now`);

  tell('A new daemon finds the same process, and all that it wrote meanwhile:');
  await startDaemon();
  holdfast('ps');
  expect(container().pid === pid, `ps to show pid ${pid} again, not ${container().pid}`);
  const shown = holdfast('logs', 'counter').trim().split('\n');
  const counted = shown.map((line, index) => line === `still here: ${index + 1}`);
  expect(shown.length > before + 4 && counted.every(Boolean), 'every line from the first on, with no gap');

  tell(`Once more, and this time the container exits with ${EXIT_STATUS} while no daemon is there:`);
  await killDaemon();
  writeFileSync(join(rootfs, 'stop'), '');
  await until('the container to end', () => !isAlive(pid));
  note(`process ${pid} has ended, and nobody was there to see it`);

  tell('Or was there? Its shim was. The next daemon learns of it:');
  await startDaemon();
  await until('an exit', () => container().state === 'stopped');
  holdfast('ps', '-a');
  const { exitStatus } = container();
  expect(exitStatus === EXIT_STATUS, `exit status ${EXIT_STATUS}, not ${exitStatus}`);
  holdfast('logs', '--tail', '1', 'counter');
  holdfast('rm', 'counter');
};

/** The container as `ps` has it. */
const container = (): { readonly pid: number; readonly state: string; readonly exitStatus?: number } => {
  const list: unknown = JSON.parse(run('ps', '-a', '--json'));
  expect(Array.isArray(list) && list.length === 1, 'ps to list one container');
  return (list as ReturnType<typeof container>[])[0] ?? fail('a container'); // what our own CLI prints
};

/** Where the container's output goes; the container itself writes to it. */
const lines = (): string[] => {
  const path = join(directory, 'root/logs', namespace, 'counter.log');
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
};

const startDaemon = async (): Promise<void> => {
  const config = join(directory, 'config.toml');
  writeFileSync(config, '');
  const places = ['--address', address, '--root', join(directory, 'root'), '--state', join(directory, 'state')];
  console.log(`  $ bin/holdfastd --address ${address} --root … --state … &`);
  const log = openSync(logFile, 'a');
  const started = spawn(join(bin, 'holdfastd'), [...places, '--config', config], { stdio: ['ignore', log, log] });
  daemon = started;
  await until('the daemon to serve', () => {
    if (started.exitCode !== null) fail('a daemon that stays');
    try {
      run('info', '--json');
      return true;
    } catch {
      return false;
    }
  });
};

const killDaemon = async (): Promise<void> => {
  const killed = daemon;
  if (killed?.pid === undefined) return;
  console.log(`  $ kill -9 ${killed.pid}`);
  killed.kill('SIGKILL');
  await until('the daemon to be gone', () => killed.exitCode !== null || killed.signalCode !== null);
};

/** Runs our CLI where a reader can see it, and gives its output. */
const holdfast = (...args: readonly string[]): string => {
  const shown = args.map((arg) => (arg === SCRIPT ? `'i=0; while …; do …; done; exit ${EXIT_STATUS}'` : arg));
  console.log(`  $ bin/holdfast ${shown.join(' ').replace(rootfs, '…/rootfs')}`);
  const output = run(...args);
  for (const line of output.trimEnd().replaceAll(rootfs, '…/rootfs').split('\n')) console.log(`    ${line}`);
  return output;
};

/** `holdfast logs -f` until it has shown some lines. */
const follow = async (count: number): Promise<void> => {
  console.log('  $ bin/holdfast logs -f counter');
  const follower = spawn(join(bin, 'holdfast'), ['logs', '-f', 'counter'], {
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const shown: string[] = [];
  try {
    createInterface(follower.stdout).on('line', (line) => {
      if (shown.push(line) <= count) note(line);
    });
    await until(`${count} lines from logs -f`, () => shown.length >= count);
  } finally {
    follower.kill();
  }
};

const run = (...args: readonly string[]): string =>
  execFileSync(join(bin, 'holdfast'), args, {
    env: environment,
    encoding: 'utf8',
    timeout: STEP_MS,
    stdio: ['ignore', 'pipe', 'pipe'],
  });

const makeRootfs = (): void => {
  for (const name of ['bin', 'dev', 'etc', 'proc', 'run', 'sys', 'tmp'])
    mkdirSync(join(rootfs, name), { recursive: true });
  copyFileSync(BUSYBOX, join(rootfs, 'bin/busybox'));
  for (const name of ['sh', 'sleep']) symlinkSync('busybox', join(rootfs, 'bin', name));
};

const isAlive = (pid: number): boolean => {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};

const until = async (what: string, holds: () => boolean): Promise<void> => {
  for (const giveUpAt = performance.now() + STEP_MS; performance.now() < giveUpAt; await sleep(50)) if (holds()) return;
  fail(what);
};

const expect = (holds: boolean, what: string): void => void (holds || fail(what));

const fail = (what: string): never => {
  throw new Error(`expected ${what}, within ${STEP_MS / 1_000} s`);
};

const tell = (text: string): void => console.log(`\n${text}`);
const note = (text: string): void => console.log(`    ${text}`);

/** Whatever has happened: no container, no daemon, no shim, no directory of ours stays. */
const cleanUp = async (): Promise<void> => {
  if (daemon === undefined) return;
  if (daemon.exitCode !== null || daemon.signalCode !== null) await startDaemon();
  if ((JSON.parse(run('ps', '-a', '--json')) as unknown[]).length > 0) run('rm', '-f', 'counter');
  const stopped = daemon;
  stopped.kill('SIGTERM');
  await until('the daemon to stop', () => stopped.exitCode !== null || stopped.signalCode !== null);
  await until('every shim to end', () => processesOf(directory).length === 0);
  // runc removes the container's cgroups, and leaves the one around them.
  for (const hierarchy of ['.', ...readdirSync(CGROUPS)]) {
    const path = join(CGROUPS, hierarchy, namespace);
    if (existsSync(path)) rmdirSync(path);
  }
};

/** Of ours: their command line, or what they have open, is in our directory. */
const processesOf = (place: string): string[] =>
  readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      const files = readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`));
      return files.some((file) => file.startsWith(`${place}/state`));
    } catch {
      return false; // it has ended
    }
  });

const linkOf = (path: string): string => {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
};

const began = performance.now();
try {
  await main();
  tell('That was all. Cleaning up.');
  await cleanUp();
  rmSync(directory, { recursive: true });
  console.log(`\nDone in ${((performance.now() - began) / 1_000).toFixed(1)} s. Next: README.md, "Use it".`);
} catch (error) {
  console.error(`\nquickstart FAILED: ${error instanceof Error ? error.message : String(error)}`);
  if (existsSync(logFile))
    console.error(`\nthe end of the daemon's log:\n${readFileSync(logFile, 'utf8').slice(-3_000)}`);
  await cleanUp().catch((again: unknown) => console.error(`clean-up: ${String(again)}; look at ${directory}`));
  rmSync(directory, { recursive: true, force: true });
  process.exitCode = 1;
}
