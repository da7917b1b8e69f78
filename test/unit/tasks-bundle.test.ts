import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { codeOf, codes } from '../../common/errdefs.ts';
import { type BundlePaths, makeBundle, removeBundle, removeTree, writeBootstrap } from '../../daemon/shims/bundle.ts';
import { readBootstrap } from '../../daemon/shims/connect.ts';

const key = { namespace: 'n', id: 'c' };
const spec = (linux: object = {}): Uint8Array => Buffer.from(JSON.stringify({ ociVersion: '1.0', linux }));
const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);

const withPaths = async (body: (paths: BundlePaths) => Promise<void> | void): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bundle-'));
  try {
    await body({ root: join(folder, 'root'), state: join(folder, 'state') });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

test('a bundle is at its place, closed to others, with config.json, rootfs and work', () =>
  withPaths(async (paths) => {
    const bundle = await makeBundle(paths, key, spec());
    assert.equal(bundle, join(paths.state, 'io.containerd.runtime.v2.task/n/c'));
    assert.equal(mode(bundle), '700');
    assert.deepEqual(readdirSync(bundle).sort(), ['config.json', 'rootfs', 'work']);
    assert.equal(readlinkSync(join(bundle, 'work')), join(paths.root, 'io.containerd.runtime.v2.task/n/c'));
    assert.deepEqual(readFileSync(join(bundle, 'config.json')), spec());
  }));

test('the root of a user namespace may pass through its bundle', () =>
  withPaths(async (paths) => {
    const bundle = await makeBundle(paths, key, spec({ gidMappings: [{ containerID: 0, hostID: 4321, size: 10 }] }));
    assert.equal(mode(bundle), '710');
    assert.equal(statSync(bundle).gid, 4321);
  }));

test('a name that is no identifier never becomes a path', () =>
  withPaths(async (paths) => {
    for (const id of ['../x', 'a/b', '', '.', 'x'.repeat(77)]) {
      await assert.rejects(
        makeBundle(paths, { namespace: 'n', id }, spec()),
        (error) => codeOf(error) === codes.invalidArgument,
      );
    }
    assert.equal(existsSync(paths.state), false);
  }));

test('a removal takes the bundle and its work directory, and may be repeated', () =>
  withPaths(async (paths) => {
    const bundle = await makeBundle(paths, key, spec());
    await removeBundle(paths, bundle);
    await removeBundle(paths, bundle);
    assert.deepEqual(readdirSync(join(paths.state, 'io.containerd.runtime.v2.task/n')), []);
    assert.deepEqual(readdirSync(join(paths.root, 'io.containerd.runtime.v2.task/n')), []);
  }));

test('files in rootfs are never removed: they may be somebody’s, seen through a mount', () =>
  withPaths(async (paths) => {
    const bundle = await makeBundle(paths, key, spec());
    writeFileSync(join(bundle, 'rootfs/precious'), '');
    await assert.rejects(removeBundle(paths, bundle), /failed to remove bundle rootfs/);
    assert.ok(existsSync(join(bundle, 'rootfs/precious')));
  }));

test('a removal that is cut leaves nothing under the name, and what it leaves begins with a dot', () =>
  withPaths(async ({ root }) => {
    mkdirSync(join(root, 'x/y'), { recursive: true });
    writeFileSync(join(root, 'x/y/z'), '');
    const removal = removeTree(join(root, 'x'));
    const seen = new Set<string>();
    const look = setInterval(() => readdirSync(root).forEach((name) => seen.add(name)), 0);
    await removal;
    clearInterval(look);
    assert.deepEqual(
      [...seen].filter((name) => name !== 'x' && !name.startsWith('.x-')),
      [],
    );
    assert.deepEqual(readdirSync(root), []);
  }));

test('where a shim is can be read back from its bundle', () =>
  withPaths(async (paths) => {
    const bundle = await makeBundle(paths, key, spec());
    assert.equal(readBootstrap(bundle), undefined);
    const shim = { binary: '/bin/shim', address: 'unix:///s', version: 3 };
    await writeBootstrap(bundle, shim);
    assert.deepEqual(readBootstrap(bundle), shim);
  }));
