import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const program = new URL('./native-mounts-child.ts', import.meta.url).pathname;

const folder = mkdtempSync(join(tmpdir(), 'holdfast-native-'));
after(() => rmdirSync(folder));

/** Without root, a user namespace gives the right to mount. */
const namespaces = process.getuid?.() === 0 ? ['--mount'] : ['--user', '--map-root-user', '--mount'];

/** Runs a task of the child in a mount namespace of its own, so nothing of the machine is touched. */
const run = (task: string): unknown => {
  const { stdout, stderr, status } = spawnSync(
    '/usr/bin/unshare',
    [...namespaces, process.execPath, program, task, folder],
    {
      encoding: 'utf8',
      timeout: 20_000,
    },
  );
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
};

test('a file system is mounted with flags and data, remounted read-only, bound elsewhere and unmounted', () => {
  assert.deepEqual(run('mount'), {
    mounted: 'rw,nosuid,nodev tmpfs size=64k',
    remounted: 'EROFS',
    bound: 'inside',
    unmounted: [],
  });
  assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'utf8'), /holdfast-native-/);
});

test('a busy mount is FailedPrecondition, what is no mount InvalidArgument, and a busy one can be detached', () => {
  assert.deepEqual(run('unmount'), {
    busy: ['EBUSY', 9, 'umount2'],
    noMount: ['EINVAL', 3, 'umount2'],
    absent: ['ENOENT', 5, 'umount2'],
    symlink: ['EINVAL', 3, 'umount2'],
    detached: true,
  });
});

test('data that the kernel would cut, an unknown type and a missing target are refused by name', () => {
  assert.deepEqual(run('refusals'), {
    longData: ['EINVAL', 3, 'mount', `mount ${folder}: mount data has more than 4095 bytes`],
    unknownType: ['ENODEV', 2, 'mount', `mount ${folder}: no such device`],
    absent: ['ENOENT', 5, 'mount', 'mount /nowhere/at-all: no such file or directory'],
    wrongType: ['EINVAL', 3, 'mount', 'mount: argument 2 must be a path of 1 to 4095 bytes without NUL'],
  });
});

test('a new root takes the place of the old one, and the other way round', () => {
  assert.deepEqual(run('pivot'), {
    refused: ['EINVAL', 3, 'pivot_root'],
    root: ['marker', 'old'],
    back: ['marker', 'old'],
  });
});

test('a mount that is under way does not hold up the loop', () => {
  assert.deepEqual(run('concurrent'), { mounted: 20, ticked: true });
});
