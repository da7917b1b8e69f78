import { closeSync, constants, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import {
  about,
  CodedError,
  codes,
  invalidArgument,
  messageOf,
  unimplemented,
  unknownError,
} from '../common/errdefs.ts';
import { mount, mountFlags, openIn, unmount } from '../native/index.ts';
import type { Mount } from '../proto/gen/containerd/types/types.ts';
import { compactLowerDirectories, parseMountOptions } from './mount-options.ts';

/** mount(2) takes one page of data, bytes. Source: copy_mount_options in the kernel. */
const MOUNT_DATA_BYTES_MAX = 4096;
/** Options from this size on are shortened, so that the rest of the page is left for what the kernel adds. */
const COMPACT_BYTES_MIN = MOUNT_DATA_BYTES_MAX - 512;
/** How often, and how many ms apart, an unmount that finds the file system busy is tried again. */
const UNMOUNT_TRIES = 20;
const UNMOUNT_RETRY_MS = 50;

/** Where a container's root file system is mounted when its Create brings mounts. */
export const rootfsOf = (bundle: string): string => join(bundle, 'rootfs');

/** Mounts what a Create request brought onto `<bundle>/rootfs`, in order; on failure nothing stays mounted. */
export const mountRootfs = async (bundle: string, mounts: readonly Mount[]): Promise<void> => {
  const rootfs = rootfsOf(bundle);
  mkdirSync(rootfs, { recursive: true, mode: 0o711 });
  try {
    for (const one of mounts) {
      await mountOne(rootfs, one).catch((error: unknown) => {
        // Not the code of the system's error: NotFound would say that there is no such container.
        throw unknownError(
          `failed to mount rootfs component ${JSON.stringify(one.source)} (${one.type}): ${messageOf(error)}`,
          { cause: error },
        );
      });
    }
  } catch (error) {
    await unmountRootfs(bundle);
    throw error;
  }
};

/**
 * Unmounts everything that is stacked on `<bundle>/rootfs`; nothing there is no error. What stays busy is detached: the
 * container has ended, and a stray reader in another mount namespace must not keep its bundle.
 */
export const unmountRootfs = async (bundle: string): Promise<void> => {
  const rootfs = rootfsOf(bundle);
  for (let tries = 0; ;) {
    try {
      await unmount(rootfs, { noFollow: true, detach: tries >= UNMOUNT_TRIES });
    } catch (error) {
      if (!isBusy(error)) {
        if (error instanceof CodedError && doneUnmounting.has(error.code)) return;
        throw about('failed rootfs umount', error);
      }
      tries += 1;
      await new Promise((resolve) => setTimeout(resolve, UNMOUNT_RETRY_MS));
    }
  }
};

/** EINVAL: no mount point (any more). ENOENT: no such directory. */
const doneUnmounting: ReadonlySet<number> = new Set([codes.invalidArgument, codes.notFound]);

const isBusy = (error: unknown): boolean =>
  error instanceof Error && 'errnoName' in error && error.errnoName === 'EBUSY';

const mountOne = async (rootfs: string, one: Mount): Promise<void> => {
  if (/^fuse3?\./.test(one.type)) throw unimplemented(`mount type ${one.type}`);
  using target = targetOf(rootfs, one.target);
  const size = one.options.reduce((sum, option) => sum + option.length, 0);
  const compact =
    one.type === 'overlay' && size >= COMPACT_BYTES_MIN ? compactLowerDirectories(one.options) : undefined;
  const { flags, propagation, data, loop } = parseMountOptions(compact?.options ?? one.options);
  if (loop) throw unimplemented('mount option loop');
  if (data.length > MOUNT_DATA_BYTES_MAX) throw invalidArgument('mount options is too long');

  if ((flags & mountFlags.remount) === 0 || data !== '') {
    const call = { source: one.source, target: target.path, type: one.type, flags, data };
    await (compact === undefined ? mount(call) : mountFrom(compact.directory, call));
  }
  const change = (extra: number): Promise<void> =>
    mount({ source: '', target: target.path, type: '', flags: extra, data: '' });
  if (propagation !== 0) await change(propagation);
  // The kernel ignores read-only in the call that makes a bind.
  const readOnlyBind = mountFlags.bind | mountFlags.readOnly;
  if ((flags & readOnlyBind) === readOnlyBind) await change(flags | mountFlags.remount);
};

/** A directory below the rootfs is named through a descriptor: a symlink in an image must not lead the mount outside. */
const targetOf = (rootfs: string, target: string): { path: string } & Disposable => {
  if (target === '' || target === '/') return { path: rootfs, [Symbol.dispose]: () => undefined };
  const root = openSync(rootfs, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const fd = openIn(root, target.replace(/^\/+/, ''), {
      flags: O_PATH | constants.O_DIRECTORY,
      resolve: { inRoot: true },
    });
    return { path: `/proc/self/fd/${fd}`, [Symbol.dispose]: () => closeSync(fd) };
  } finally {
    closeSync(root);
  }
};

/** O_PATH is missing from Node's constants. Source: fcntl.h, the same on x86-64 and arm64. */
const O_PATH = 0o10000000;

/**
 * Mounts with relative layer names. The working directory belongs to the whole process; nothing else of the shim uses
 * it (all paths are absolute, children are told theirs), so only two of these calls must not meet.
 */
const mountFrom = async (directory: string, call: Parameters<typeof mount>[0]): Promise<void> => {
  const before = lastChange;
  const { promise, resolve } = Promise.withResolvers<void>();
  lastChange = promise;
  await before;
  process.chdir(directory);
  try {
    await mount(call);
  } finally {
    process.chdir('/');
    resolve();
  }
};

let lastChange: Promise<void> = Promise.resolve();
