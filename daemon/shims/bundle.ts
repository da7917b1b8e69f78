import { randomBytes } from 'node:crypto';
import { chmod, chown, lstat, mkdir, readlink, rename, rm, rmdir, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { BootstrapFile } from '../../common/bootstrap.ts';
import { about, CodedError, codes, unknownError } from '../../common/errdefs.ts';
import { checkIdentifier } from '../../common/identifiers.ts';
import { unmount } from '../../native/index.ts';
import type { TaskKey } from '../store/tables/tasks.ts';

/** The directory below root and state that is ours, by the name of containerd's runtime plugin. */
const TASKS = 'io.containerd.runtime.v2.task';

export interface BundlePaths {
  readonly root: string;
  readonly state: string;
}

export const bundleRoot = (state: string): string => join(state, TASKS);
export const workRoot = (root: string): string => join(root, TASKS);

/** `<state>/io.containerd.runtime.v2.task/<namespace>/<id>`. The names are checked: they become a path. */
export const bundlePath = ({ state }: BundlePaths, { namespace, id }: TaskKey): string =>
  join(bundleRoot(state), checkIdentifier(namespace), checkIdentifier(id));

/**
 * Makes a bundle: config.json, rootfs/, and `work`, a link to a directory below root that survives longer. 0700, or,
 * with a user namespace, 0710 and the group that root is in there. `spec` is the JSON of an OCI Spec. In the thread pool,
 * as all here: below root there is a disk, which may be busy.
 */
export const makeBundle = async (paths: BundlePaths, key: TaskKey, spec: Uint8Array): Promise<string> => {
  try {
    checkIdentifier(key.id);
  } catch (error) {
    throw about(`invalid task id ${key.id}`, error);
  }
  const bundle = bundlePath(paths, key);
  const work = join(workRoot(paths.root), key.namespace, key.id);
  const gid = remappedRootGroup(spec);
  await mkdir(dirname(bundle), { recursive: true, mode: 0o711 });
  await mkdir(bundle, { mode: 0o700 });
  await Promise.all([
    gid === 0 ? undefined : openToGroup(bundle, gid),
    mkdir(join(bundle, 'rootfs'), { mode: 0o711 }),
    makeWork(work),
    symlink(work, join(bundle, 'work')),
    writeFile(join(bundle, 'config.json'), spec, { mode: 0o600 }),
  ]);
  return bundle;
};

const openToGroup = async (bundle: string, gid: number): Promise<void> => {
  await chown(bundle, -1, gid);
  await chmod(bundle, 0o710);
};

const makeWork = async (work: string): Promise<void> => {
  await rm(work, { recursive: true, force: true }); // a reboot leaves it
  await mkdir(work, { recursive: true, mode: 0o711 });
};

/** Writes down where the shim is, for who looks at the bundle alone. `binary` '': our own. */
export const writeBootstrap = async (
  bundle: string,
  shim: { binary: string; address: string; version: number },
): Promise<void> => {
  const bootstrap: BootstrapFile = { version: shim.version, address: shim.address, protocol: 'ttrpc' };
  const write = (name: string, text: string): Promise<void> => writeFile(join(bundle, name), text, { mode: 0o600 });
  await Promise.all([
    write('bootstrap.json', JSON.stringify(bootstrap)),
    write('address', shim.address),
    shim.binary === '' ? undefined : write('shim-binary-path', shim.binary),
  ]);
};

/**
 * Removes a bundle and its work directory; one that is not there is no error. What is still mounted is unmounted, never
 * removed: under it may be somebody's files.
 */
export const removeBundle = async ({ root }: BundlePaths, bundle: string): Promise<void> => {
  const work = (await workOf(bundle)) ?? join(workRoot(root), basename(dirname(bundle)), basename(bundle));
  const rootfs = join(bundle, 'rootfs');
  await unmountAll(rootfs);
  try {
    await rmdir(rootfs);
  } catch (error) {
    if (!isAbsent(error)) throw about('failed to remove bundle rootfs', error);
  }
  await Promise.all([removeTree(bundle), removeTree(work)]);
};

/** Renamed first: a removal that a crash cuts leaves no half bundle under the name, and what it leaves begins with a dot. */
export const removeTree = async (path: string): Promise<void> => {
  const hidden = join(dirname(path), `.${basename(path)}-${randomBytes(4).toString('hex')}`);
  try {
    await rename(path, hidden);
  } catch (error) {
    if (isAbsent(error)) return;
    throw error;
  }
  await rm(hidden, { recursive: true, force: true });
};

const workOf = async (bundle: string): Promise<string | undefined> => {
  try {
    return await readlink(join(bundle, 'work'));
  } catch {
    return undefined;
  }
};

const unmountAll = async (path: string): Promise<void> => {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isDirectory() !== true) return;
  for (;;) {
    try {
      await unmount(path, { noFollow: true });
    } catch (error) {
      // InvalidArgument: no mount point (any more).
      if (error instanceof CodedError && error.code === codes.invalidArgument) return;
      throw about(`unmount rootfs ${path}`, error);
    }
  }
};

const isAbsent = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT';

/** The group outside that is group 0 inside; 0: nothing is remapped. */
const remappedRootGroup = (spec: Uint8Array): number => {
  let parsed: PartialSpec | null;
  try {
    parsed = JSON.parse(Buffer.from(spec).toString('utf8'));
  } catch (error) {
    throw unknownError(`spec is no JSON: ${String(error)}`); // Unknown, as in containerd
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw unknownError('spec is no object');
  const mappings = parsed.linux?.gidMappings;
  if (!Array.isArray(mappings)) return 0;
  return mappings.find((mapping) => (mapping?.containerID ?? 0) === 0)?.hostID ?? 0;
};

interface PartialSpec {
  readonly linux?: {
    readonly gidMappings?: readonly { readonly containerID?: number; readonly hostID?: number }[] | null;
  };
}
