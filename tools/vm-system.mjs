// The guest's system for `npm run test:vm`: a disk image made of Debian packages, from the machine's own package sources.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SUITE = 'bookworm';
const PACKAGES = {
  system: ['systemd', 'systemd-sysv', 'dbus', 'udev', 'kmod', 'procps', 'iproute2', 'linux-image-cloud-amd64'],
  node: ['libatomic1'],
  containers: ['runc', 'containerd', 'busybox-static'],
  // criu keeps a container's network still by iptables, and says so only in its log where that is missing.
  checkpoints: ['criu', 'iptables'],
};
/** What would only disturb the tests, or make the boot longer. */
const UNWANTED = {
  service: ['containerd', 'e2scrub_reap', 'getty@tty1', 'serial-getty@ttyS0', 'systemd-timesyncd'],
  timer: ['apt-daily', 'apt-daily-upgrade', 'dpkg-db-backup', 'e2scrub_all', 'fstrim'],
};
/** Room for the tests' files too; the image is sparse. */
const IMAGE_SIZE = '3G';
const BUILD_MINUTES_MAX = 15;

const IMAGES = { kernel: 'vmlinuz', initrd: 'initrd.img', system: 'system.ext4' };

/** Where the guest has the repository. */
const INSTALLATION = '/opt/holdfast';

const FILES = {
  '/etc/fstab': `/dev/vdb ${INSTALLATION} ext4 ro 0 0\n`,
  '/etc/hostname': 'guest\n',
  '/etc/systemd/system/tests.service': `[Unit]
Description=Tests of Holdfast
RequiresMountsFor=${INSTALLATION}
After=dbus.socket systemd-logind.service
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
TimeoutStartSec=1h
ExecStart=/bin/sh ${INSTALLATION}/tools/vm-guest.sh
`,
};

/** The package sources of this machine that are Debian's, as lines of a sources.list. */
const debianSources = () => {
  const format = '$(REPO_URI) $(RELEASE) $(COMPONENT)';
  const args = ['indextargets', '--format', `deb ${format}`, 'Created-By: Packages', 'Origin: Debian'];
  const lines = execFileSync('apt-get', args, { encoding: 'utf8' });
  const suites = lines.split('\n').map((line) => line.split(' ')[2]);
  if (suites.includes(SUITE)) return lines;
  throw new Error(`apt knows no packages of Debian ${SUITE} here; run apt-get update, or see /etc/apt/sources.list`);
};

const build = (place) => {
  const options = { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8', timeout: BUILD_MINUTES_MAX * 60_000 };
  const tree = join(place, 'tree');
  const sources = join(place, 'sources.list');
  writeFileSync(sources, debianSources());
  const units = Object.entries(UNWANTED).flatMap(([kind, names]) => names.map((name) => `${name}.${kind}`));
  const mask = `chroot "$1" systemctl --quiet mask ${units.join(' ')}`;
  const include = Object.values(PACKAGES).flat().join(',');
  const flags = ['--mode=root', '--variant=minbase', `--include=${include}`, `--customize-hook=${mask}`];
  execFileSync('mmdebstrap', [...flags, SUITE, tree, sources], options);
  for (const [path, text] of Object.entries(FILES)) writeFileSync(join(tree, path), text);
  execFileSync('chroot', [tree, 'systemctl', '--quiet', 'add-wants', 'multi-user.target', 'tests.service'], options);
  mkdirSync(join(tree, INSTALLATION), { recursive: true });
  for (const [name, start] of [
    [IMAGES.kernel, 'vmlinuz-'],
    [IMAGES.initrd, 'initrd.img-'],
  ]) {
    const found = readdirSync(join(tree, 'boot')).find((entry) => entry.startsWith(start));
    if (found === undefined) throw new Error(`the guest's packages brought no /boot/${start}*`);
    copyFileSync(join(tree, 'boot', found), join(place, name));
  }
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-d', tree, join(place, IMAGES.system), IMAGE_SIZE], options);
  rmSync(tree, { recursive: true });
  rmSync(sources);
};

/**
 * Builds the image unless `cache` has it; `place` is a folder on the same file system. Gives the paths of kernel, initrd
 * and system. A newer package does not make it build again; removing the cache does.
 */
export const buildSystem = (cache, place) => {
  const recipe = createHash('sha256')
    .update(readFileSync(fileURLToPath(import.meta.url)))
    .digest('hex');
  const name = `system-${recipe.slice(0, 16)}`;
  const folder = join(cache, name);
  if (!existsSync(folder)) {
    console.error('test:vm: building the guest, once');
    for (const old of readdirSync(cache)) {
      if (old.startsWith('system-')) rmSync(join(cache, old), { recursive: true });
    }
    const made = join(place, name);
    mkdirSync(made);
    build(made);
    renameSync(made, folder);
  }
  return Object.fromEntries(Object.entries(IMAGES).map(([key, file]) => [key, join(folder, file)]));
};
