// `npm run setup`: everything that Holdfast needs, from a bare Debian 12 machine with npm and any Node from 18 on.
// Debian packages that are missing, `npm ci`, generated code, the addon, the bundles. A second run with nothing to do
// only compares fingerprints.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isInstalled, node, root } from './paths.mjs';

/** Debian package → a file that shows that it is installed (so that the check needs no package manager). */
const PACKAGES = {
  'busybox-static': '/bin/busybox',
  'ca-certificates': '/usr/sbin/update-ca-certificates',
  containerd: '/usr/bin/containerd',
  coreutils: '/usr/bin/mkfifo',
  'docker.io': '/usr/sbin/dockerd',
  'g++': '/usr/bin/g++',
  git: '/usr/bin/git',
  iproute2: '/sbin/ip',
  iptables: '/usr/sbin/iptables',
  make: '/usr/bin/make',
  procps: '/bin/ps',
  python3: '/usr/bin/python3',
  runc: '/usr/sbin/runc',
  'util-linux': '/usr/bin/script',
  bsdutils: '/usr/bin/script',
};

/** Of a package manager's output, bytes. */
const OUTPUT_BYTES_MAX = 64 << 20;

const quiet = process.argv.includes('--quiet');
const say = (text) => {
  if (!quiet) console.log(text);
};

const fail = (text) => {
  console.error(`set-up: ${text}`);
  process.exit(1);
};

const run = (program, args, options = {}) => {
  // What a quiet set-up does not show, it shows when something fails.
  const { status, error, stdout, stderr } = spawnSync(program, args, {
    cwd: root,
    stdio: quiet ? ['ignore', 'pipe', 'pipe'] : 'inherit',
    encoding: 'utf8',
    maxBuffer: OUTPUT_BYTES_MAX,
    ...options,
  });
  if (error) fail(`${program}: ${error.message}`);
  if (status !== 0) fail(`${stdout ?? ''}${stderr ?? ''}${[program, ...args].join(' ')} ended with ${status}`);
};

const installPackages = () => {
  const missing = Object.keys(PACKAGES).filter((name) => !existsSync(PACKAGES[name]));
  if (missing.length === 0) return say('Debian packages: all there');
  if (process.getuid() !== 0)
    fail(`these Debian packages are missing, and only root can install them: ${missing.join(' ')}`);
  if (!existsSync('/usr/bin/apt-get')) fail(`this is no Debian; please install what gives you: ${missing.join(' ')}`);
  console.error(`set-up: installing ${missing.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  run('apt-get', ['update', '-qq'], { env });
  run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', ...missing], {
    env,
  });
  const still = Object.keys(PACKAGES).filter((name) => !existsSync(PACKAGES[name]));
  if (still.length > 0) fail(`installed, but still not to be found: ${still.map((name) => PACKAGES[name]).join(', ')}`);
};

const stamp = join(root, 'node_modules/.holdfast-setup');

const installModules = () => {
  const want = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .update(process.arch)
    .digest('hex');
  if (isInstalled() && existsSync(stamp) && readFileSync(stamp, 'utf8') === want) return say('npm packages: as locked');
  console.error('set-up: installing npm packages');
  run('npm', ['ci', '--loglevel=error']);
  installBindings();
  if (!isInstalled()) fail(`npm installed no Node for ${process.arch}; x64 and arm64 are supported`);
  mkdirSync(join(root, 'node_modules'), { recursive: true });
  writeFileSync(stamp, want);
};

/**
 * npm leaves out optional packages that say that they want a newer Node than the machine's; they run on ours, so npm is
 * run on ours once more. (The linter and the formatter have their binaries in such packages.)
 */
const installBindings = () => {
  if (readdirSync(join(root, 'node_modules/@oxlint')).some((name) => name.startsWith('binding-'))) return;
  const npm = process.env.npm_execpath ?? '/usr/share/nodejs/npm/bin/npm-cli.js';
  if (isInstalled() && existsSync(npm)) run(node, [npm, 'install', '--no-save', '--loglevel=error']);
};

installPackages();
installModules();
// From here on our own Node: what follows may use what Node 18 has not.
const args = [join(root, 'tools/build.mjs'), ...(quiet ? ['--quiet'] : [])];
try {
  execFileSync(node, args, { cwd: root, stdio: quiet ? ['ignore', 2, 2] : 'inherit' });
} catch (error) {
  fail(`the build failed (${error.status ?? error.message})`);
}
