// `npm run test:vm [-- FILE …]`: boots a guest with cgroup v2 and systemd, runs the test files of test/vm in it, prints
// what they print, and ends with their exit code. The guest is emulated: it needs no KVM, and what takes a second here
// takes five there. Its system is built once and kept in .cache/vm; each run starts from the same state.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './paths.mjs';
import { packRepository } from './vm-repository.mjs';
import { buildSystem } from './vm-system.mjs';

/** Debian package → a file that shows that it is installed. */
const PACKAGES = {
  e2fsprogs: '/sbin/mke2fs',
  mmdebstrap: '/usr/bin/mmdebstrap',
  'qemu-system-x86': '/usr/bin/qemu-system-x86_64',
};
/** From qemu's start to the tests' first line, minutes. */
const BOOT_MINUTES_MAX = 5;
/** From qemu's start to its end, minutes. */
const RUN_MINUTES_MAX = 40;
const INSTALL_MINUTES_MAX = 15;
const MEMORY_MB = 2048;
/** How much of the guest's console is shown when it did not come to its end, characters. */
const CONSOLE_TAIL = 6_000;
const CACHE = join(root, '.cache/vm');

const fail = (text) => {
  console.error(`test:vm: ${text}`);
  process.exit(1);
};

const chosenTests = () => {
  const all = readdirSync(join(root, 'test/vm')).filter((name) => name.endsWith('.test.ts'));
  const asked = process.argv.slice(2);
  for (const name of asked) {
    if (!all.includes(name)) fail(`no test file "${name}"; there are: ${all.sort().join(', ')}`);
  }
  return (asked.length > 0 ? asked : all.sort()).map((name) => `test/vm/${name}`);
};

const installPackages = () => {
  const missing = Object.keys(PACKAGES).filter((name) => !existsSync(PACKAGES[name]));
  if (missing.length === 0) return;
  console.error(`test:vm: installing ${missing.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['install', '-y', '-qq', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', ...missing];
  for (const args of [['update', '-qq'], install]) {
    const { status, error, stderr } = spawnSync('apt-get', args, {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
      timeout: INSTALL_MINUTES_MAX * 60_000,
    });
    if (status !== 0) fail(`apt-get ${args.join(' ')}: ${error?.message ?? `status ${status}: ${stderr}`}`);
  }
};

/** Whatever is mounted there, because a build was killed, stays as it is. */
const remove = (folder) => execFileSync('rm', ['-rf', '--one-file-system', folder]);

/** A folder of this process in the cache; those of processes that were killed are removed. */
const ownFolder = () => {
  mkdirSync(CACHE, { recursive: true });
  for (const name of readdirSync(CACHE)) {
    const [, pid] = /^run-(\d+)$/.exec(name) ?? [];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) remove(join(CACHE, name));
  }
  const place = join(CACHE, `run-${process.pid}`);
  mkdirSync(place);
  return place;
};

/** The arguments of qemu. Two ports lead out of the guest: one for what the tests print, one for their exit code. */
const guest = ({ kernel, initrd, system, repository, place }) =>
  [
    ['-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', String(MEMORY_MB)],
    ['-nodefaults', '-no-user-config', '-nic', 'none', '-display', 'none', '-device', 'virtio-rng-pci'],
    ['-kernel', kernel, '-initrd', initrd],
    // A panic ends the guest at once (-no-reboot) instead of waiting for the time limit.
    ['-no-reboot', '-append', 'root=/dev/vda rw console=ttyS0 panic=-1 quiet systemd.show_status=error'],
    ['-drive', `file=${system},format=raw,if=virtio,snapshot=on`],
    ['-drive', `file=${repository},format=raw,if=virtio,readonly=on`],
    ['-chardev', `file,id=console,path=${join(place, 'console')}`, '-serial', 'chardev:console'],
    ['-device', 'virtio-serial', '-chardev', 'stdio,id=output,signal=off'],
    ['-device', 'virtserialport,chardev=output,name=output'],
    ['-chardev', `file,id=status,path=${join(place, 'status')}`],
    ['-device', 'virtserialport,chardev=status,name=status'],
  ].flat();

/** Runs qemu to its end, or to a time limit. Gives what went wrong with it, undefined if nothing did. */
const run = async (args) => {
  // Its stdin is a pipe that says nothing: at an end of input qemu would close the port of the output too.
  const qemu = spawn(PACKAGES['qemu-system-x86'], args, { stdio: ['pipe', 'pipe', 'inherit'] });
  let trouble;
  const end = (why) => {
    trouble ??= why;
    qemu.kill('SIGKILL');
  };
  const limit = (minutes, what) => setTimeout(() => end(`${what} after ${minutes} minutes`), minutes * 60_000);
  const limits = [limit(BOOT_MINUTES_MAX, 'no test had begun'), limit(RUN_MINUTES_MAX, 'the tests had not ended')];
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => end(`stopped by ${signal}`));
  qemu.stdout.on('data', (text) => {
    clearTimeout(limits[0]);
    process.stdout.write(text);
  });
  const [code, signal] = await once(qemu, 'close');
  limits.forEach(clearTimeout);
  return trouble ?? (code === 0 ? undefined : `qemu ended with ${signal ?? code}`);
};

const main = async () => {
  const tests = chosenTests();
  if (process.arch !== 'x64') fail(`the guest is one for x64, and this machine is ${process.arch}`);
  if (process.getuid() !== 0) fail('only root can build the guest');
  const setup = spawnSync(process.execPath, [join(root, 'tools/setup.mjs'), '--quiet'], { stdio: 'inherit' });
  if (setup.status !== 0) return setup.status ?? 1;
  installPackages();
  const place = ownFolder();
  try {
    const system = buildSystem(CACHE, place);
    const repository = packRepository(place, tests);
    const trouble = await run(guest({ ...system, repository, place }));
    const status = trouble === undefined ? readFileSync(join(place, 'status'), 'utf8').trim() : '';
    if (/^\d+$/.test(status)) return Number(status);
    console.error(
      `the end of the guest's console:\n${readFileSync(join(place, 'console'), 'utf8').slice(-CONSOLE_TAIL)}`,
    );
    console.error(`test:vm: ${trouble ?? 'the guest went down before the tests had ended'}`);
    return 1;
  } finally {
    remove(place);
  }
};

try {
  process.exitCode = await main();
} catch (error) {
  fail(error.message);
}
