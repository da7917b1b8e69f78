import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, test } from 'node:test';
import { Side } from '../compat/sides.ts';
import { startHoldfast } from '../harness/daemon.ts';
import { exec } from '../harness/exec.ts';
import { testBed } from '../harness/temp.ts';

// Who may reach what: modes of directories and sockets, and peers of another user (CVE-2020-15257, CVE-2021-41103).

const bed = testBed();
const OTHER_UID = '1000';
let side: Side;
let shim: { readonly pid: number; readonly socket: string; readonly bundle: string };

before(async () => {
  side = new Side(bed, await startHoldfast(bed));
  await side.start('a');
  const bundle = join(side.daemon.state, 'io.containerd.runtime.v2.task', side.daemon.namespace, 'a');
  const socket = readFileSync(join(bundle, 'address'), 'utf8').replace(/^unix:\/\//, '');
  shim = { pid: parentOf(await side.pid('a')), socket, bundle };
});

const parentOf = (pid: number): number =>
  Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);

/** Asks the shim for its process id, as another user; `capabilities` of that user. Prints `answered` or the error. */
const askAs = (socket: string, capabilities: readonly string[]) => {
  const caps = capabilities.map((name) => `+${name}`).join(',');
  const become = ['--reuid', OTHER_UID, '--regid', OTHER_UID, '--clear-groups'];
  const keep = caps === '' ? [] : ['--inh-caps', caps, '--ambient-caps', caps];
  return exec('setpriv', [...become, ...keep, '--', ...asker(socket)]);
};
const asker = (socket: string): string[] => [
  process.execPath,
  '--no-warnings',
  join(import.meta.dirname, 'ask-shim.ts'),
  socket,
];

test('root answers to root: the question itself is right', async () => {
  const [program = '', ...args] = asker(shim.socket);
  assert.equal((await exec(program, args)).stdout, 'answered\n');
});

test('another user is kept from a shim’s socket by its modes', async () => {
  assert.deepEqual([mode(shim.socket), mode(dirname(shim.socket))], ['600', '700']);
});

test('another user who gets through to the socket all the same is refused', async () => {
  const { stdout } = await askAs(shim.socket, ['dac_override', 'dac_read_search']);
  assert.match(stdout, /^refused/);
});

test('another user who gets through to the daemon’s own sockets is refused by their modes without such powers', () => {
  for (const socket of [side.daemon.address, `${side.daemon.address}.ttrpc`]) {
    assert.equal(statSync(socket).mode & 0o007, 0, socket);
  }
});

test('root is 0700, state 0711, a bundle 0700', () => {
  assert.deepEqual([side.daemon.root, side.daemon.state, shim.bundle].map(mode), ['700', '711', '700']);
});

test('with a user namespace the bundle may be passed through by its root, and by nobody else', async () => {
  const mapping = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  await side.create('u', ['/bin/sleep', '1000'], ({ linux }) => {
    linux.namespaces.push({ type: 'user' });
    linux.uidMappings = mapping;
    linux.gidMappings = mapping;
  });
  await side.ctr.ok('tasks', 'start', '-d', '--null-io', 'u');
  const bundle = join(dirname(shim.bundle), 'u');
  assert.deepEqual([mode(bundle), statSync(bundle).gid], ['710', 100_000]);
});

test('nothing below state or root may be written by others', () => {
  const open: string[] = [];
  for (const top of [side.daemon.root, side.daemon.state]) {
    for (const name of readdirSync(top, { recursive: true, encoding: 'utf8' })) {
      const path = join(top, name);
      if (path.includes('/rootfs/')) continue; // a container's own files
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat !== undefined && !stat.isSymbolicLink() && (stat.mode & 0o002) !== 0) open.push(path);
    }
  }
  assert.deepEqual(open, []);
});

test('neither the daemon nor a shim listens in the abstract name space', () => {
  const abstract = new Map(
    readFileSync('/proc/net/unix', 'utf8')
      .split('\n')
      .map((line) => line.split(/\s+/))
      .filter(([, , , , , , , path]) => path?.startsWith('@'))
      .map(([, , , , , , inode, path]) => [inode ?? '', path]),
  );
  for (const pid of [side.daemon.pid, shim.pid]) {
    const inodes = readdirSync(`/proc/${pid}/fd`).map((fd) => /^socket:\[(\d+)\]/.exec(target(pid, fd))?.[1] ?? '');
    assert.deepEqual(
      inodes.map((inode) => abstract.get(inode)).filter((path) => path !== undefined),
      [],
    );
  }
});

const target = (pid: number, fd: string): string => {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return '';
  }
};
