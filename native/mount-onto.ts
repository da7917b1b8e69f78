import { closeSync, constants, openSync } from 'node:fs';
import { about, CodedError, codes, invalidArgument, unimplemented } from '../common/errdefs.ts';
import type { Mount } from '../proto/gen/containerd/types/types.ts';
import { mount, mountFlags, openIn, unmount } from './index.ts';
import { compactLowerDirectories, parseMountOptions } from './mount-options.ts';

/** mount(2) takes one page of data, bytes. Source: copy_mount_options in the kernel. */
const MOUNT_DATA_BYTES_MAX = 4096;
/** Options from this size on are shortened, so that the rest of the page is left for what the kernel adds. */
const COMPACT_BYTES_MIN = MOUNT_DATA_BYTES_MAX - 512;
/** How often, and how many ms apart, an unmount that finds the file system busy is tried again. */
const UNMOUNT_TRIES = 20;
const UNMOUNT_RETRY_MS = 50;

/** What mount(2) is called with. */
export type MountCall = Parameters<typeof mount>[0];

/** Makes an overlay's mount whose `lowerdir=` names layers relative to `directory`: absolute, they fill no page. */
export type MountFrom = (directory: string, call: MountCall) => Promise<void>;

/** Mounts one of the API's mounts onto a directory, or onto `target` below it, which may lead nowhere else. */
export const mountOnto = async (root: string, one: Mount, mountFrom: MountFrom): Promise<void> => {
  if (/^fuse3?\./.test(one.type)) throw unimplemented(`mount type ${one.type}`);
  using target = targetOf(root, one.target);
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

/**
 * Unmounts everything that is stacked on a directory; nothing there is no error. What stays busy is detached: a stray
 * reader in another mount namespace must not keep it.
 */
export const unmountAll = async (directory: string): Promise<void> => {
  for (let tries = 0; ;) {
    try {
      await unmount(directory, { noFollow: true, detach: tries >= UNMOUNT_TRIES });
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

/** A directory below the root is named through a descriptor: a symlink in an image must not lead the mount outside. */
const targetOf = (root: string, target: string): { path: string } & Disposable => {
  if (target === '' || target === '/') return { path: root, [Symbol.dispose]: () => undefined };
  const rootFd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const fd = openIn(rootFd, target.replace(/^\/+/, ''), {
      flags: O_PATH | constants.O_DIRECTORY,
      resolve: { inRoot: true },
    });
    return { path: `/proc/self/fd/${fd}`, [Symbol.dispose]: () => closeSync(fd) };
  } finally {
    closeSync(rootFd);
  }
};

/** O_PATH is missing from Node's constants. Source: fcntl.h, the same on x86-64 and arm64. */
const O_PATH = 0o10000000;
