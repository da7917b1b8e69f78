import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where distributions put a statically linked busybox. */
const BUSYBOX = ['/bin/busybox', '/usr/bin/busybox', '/usr/local/bin/busybox'];

const FILES: Readonly<Record<string, string>> = {
  'etc/passwd':
    'root:x:0:0:root:/root:/bin/sh\ndaemon:x:2:2:daemon:/:/bin/false\nuser:x:1000:1000:user:/home/user:/bin/sh\n',
  'etc/group': 'root:x:0:\ndaemon:x:2:\nuser:x:1000:\nextra:x:2000:user\n',
  'etc/hostname': 'busybox\n',
  'etc/hosts': '127.0.0.1 localhost\n',
  'etc/resolv.conf': '',
};

/** Mount points too: a runtime that finds them makes nothing in a root file system that several containers share. */
const FOLDERS = ['bin', 'dev', 'etc', 'home/user', 'mnt', 'proc', 'root', 'run', 'sys', 'tmp', 'usr/bin', 'var'];

/** Makes a small root file system at `path`: busybox with all its applets, root and a user `user` (uid 1000). */
export const makeRootfs = (path: string): string => {
  const busybox = BUSYBOX.find((file) => existsSync(file));
  if (busybox === undefined) throw new Error('no busybox: install the package busybox-static');
  for (const folder of FOLDERS) mkdirSync(join(path, folder), { recursive: true });
  copyFileSync(busybox, join(path, 'bin/busybox'));
  chmodSync(join(path, 'bin/busybox'), 0o755);
  for (const applet of applets(busybox)) {
    if (applet !== 'busybox') symlinkSync('busybox', join(path, 'bin', applet));
  }
  for (const [file, text] of Object.entries(FILES)) writeFileSync(join(path, file), text);
  chmodSync(join(path, 'tmp'), 0o1777);
  return path;
};

const applets = (busybox: string): string[] => {
  const { stdout, status } = spawnSync(busybox, ['--list'], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${busybox} --list failed`);
  return stdout.split('\n').filter((name) => name !== '');
};
