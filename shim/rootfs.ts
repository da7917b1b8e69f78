import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, unknownError } from '../common/errdefs.ts';
import { mount } from '../native/index.ts';
import { mountOnto, type MountCall, unmountAll } from '../native/mount-onto.ts';
import type { Mount } from '../proto/gen/containerd/types/types.ts';

/** Where a container's root file system is mounted when its Create brings mounts. */
export const rootfsOf = (bundle: string): string => join(bundle, 'rootfs');

/** Mounts what a Create request brought onto `<bundle>/rootfs`, in order; on failure nothing stays mounted. */
export const mountRootfs = async (bundle: string, mounts: readonly Mount[]): Promise<void> => {
  const rootfs = rootfsOf(bundle);
  mkdirSync(rootfs, { recursive: true, mode: 0o711 });
  try {
    for (const one of mounts) {
      await mountOnto(rootfs, one, mountFrom).catch((error: unknown) => {
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

/** Unmounts everything that is stacked on `<bundle>/rootfs`; nothing there is no error. */
export const unmountRootfs = (bundle: string): Promise<void> => unmountAll(rootfsOf(bundle));

/**
 * Mounts with relative layer names. The working directory belongs to the whole process; nothing else of the shim uses
 * it (all paths are absolute, children are told theirs), so only two of these calls must not meet.
 */
const mountFrom = async (directory: string, call: MountCall): Promise<void> => {
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
