import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isNotFound } from '../../common/errdefs.ts';
import { cgroupPaths, isExiting, joinCgroup, locate, parseMemberships, parseMounts } from '../../shim/cgroup/paths.ts';

const V1_MOUNTS = `31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 master:2 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
`;
const UNIFIED_MOUNT = '41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n';
const V1_MEMBERSHIPS = '3:name=systemd:/\n2:memory:/ns/web\n1:cpu,cpuacct:/ns/web\n';
const V1_DIRECTORIES = new Map([
  ['name=systemd', '/sys/fs/cgroup/systemd/'],
  ['memory', '/sys/fs/cgroup/memory/ns/web'],
  ['cpu', '/sys/fs/cgroup/cpu,cpuacct/ns/web'],
  ['cpuacct', '/sys/fs/cgroup/cpu,cpuacct/ns/web'],
]);

test('on version 1 each controller leads to its directory, and two may share one', () => {
  const found = locate(V1_MEMBERSHIPS, { mountinfo: V1_MOUNTS, unified: false });
  assert.deepEqual(found, { version: 1, directories: V1_DIRECTORIES });
});

test('on a hybrid host the controllers count and the tree of version 2 does not', () => {
  const found = locate(`${V1_MEMBERSHIPS}0::/elsewhere\n`, { mountinfo: V1_MOUNTS + UNIFIED_MOUNT, unified: false });
  assert.deepEqual(found, { version: 1, directories: V1_DIRECTORIES });
});

test('on version 2 the one path counts, whatever is mounted of version 1 beneath', () => {
  const mountinfo = `${V1_MOUNTS}50 31 0:40 / /sys/fs/cgroup rw,relatime - cgroup2 none rw,nsdelegate\n`;
  const found = locate(`${V1_MEMBERSHIPS}0::/ns/web\n`, { mountinfo, unified: true });
  assert.deepEqual(found, { version: 2, directory: '/sys/fs/cgroup/ns/web' });
});

test('a hierarchy of which only a part is mounted is entered at that part', () => {
  const mountinfo = '35 31 0:32 /docker/outer /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n';
  const directoryOf = (path: string): unknown => locate(`2:memory:${path}\n`, { mountinfo, unified: false });
  const expected = (directory: string) => ({ version: 1, directories: new Map([['memory', directory]]) });
  assert.deepEqual(directoryOf('/docker/outer/ns/web'), expected('/sys/fs/cgroup/memory/ns/web'));
  assert.deepEqual(directoryOf('/docker/outer'), expected('/sys/fs/cgroup/memory'));
});

test('a process in no cgroup that can be seen is not found', () => {
  assert.throws(() => locate('0::/a\n', { mountinfo: V1_MOUNTS, unified: false }), isNotFound);
  assert.throws(() => locate('2:memory:/a\n', { mountinfo: '', unified: false }), isNotFound);
  assert.throws(() => locate('2:memory:/a\n', { mountinfo: '', unified: true }), isNotFound);
});

test('a process that is gone has no cgroups', () => {
  assert.throws(() => cgroupPaths(2 ** 30), { message: 'cgroup does not exist: not found' });
});

test('a cgroup path that leads out of the hierarchy is an invalid argument', async () => {
  await assert.rejects(joinCgroup(process.pid, '/../../tmp'), /invalid argument/);
});

test('any cgroup path is read as it is, colons and spaces too', () => {
  const name = fc.stringMatching(/^[^\n\0]{1,40}$/);
  fc.assert(
    fc.property(fc.uniqueArray(fc.stringMatching(/^[a-z_]{1,9}$/), { minLength: 1 }), name, (controllers, path) => {
      const memberships = parseMemberships(`7:${controllers.join(',')}:/${path}\n0::/${path}\n`);
      assert.deepEqual(memberships, new Map([...controllers, ''].map((controller) => [controller, `/${path}`])));
    }),
  );
});

test('any mount point is found, with whatever the kernel has to escape', () => {
  const escaped = (text: string): string =>
    text.replaceAll(/[ \t\n\\#]/g, (it) => `\\${it.charCodeAt(0).toString(8).padStart(3, '0')}`);
  const path = fc.array(fc.constantFrom('a', 'é', '7', '-', ' ', '\t', '\n', '\\', '#')).map((it) => `/${it.join('')}`);
  fc.assert(
    fc.property(path, path, (root, point) => {
      const line = `35 31 0:32 ${escaped(root)} ${escaped(point)} rw,relatime shared:1 - cgroup cgroup rw,memory`;
      assert.deepEqual(parseMounts(`${line}\n`).get('memory'), { root, point });
    }),
  );
});

test('an exiting thread is recognised whatever its program is called', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[ -~]{0,15}$/), fc.boolean(), (name, exiting) => {
      const flags = 0x40_0000 | (exiting ? 0x4 : 0);
      assert.equal(isExiting(`42 (${name}) S 1 42 42 0 -1 ${flags} 104 0 0 0`), exiting);
    }),
  );
});
