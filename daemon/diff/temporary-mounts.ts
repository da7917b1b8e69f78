import { closeSync, constants, openSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { about, messageOf, unknownError } from '../../common/errdefs.ts';
import { mount } from '../../native/index.ts';
import { type MountCall, mountOnto, unmountAll } from '../../native/mount-onto.ts';
import type { Mount } from '../../proto/gen/containerd/types/types.ts';

/** Mounts that last as long as a piece of work, each on a directory of its own below one directory. */
export interface TemporaryMounts {
  /** Runs `work` on the mounted directory, which is empty if there are no mounts; afterwards nothing is mounted. */
  use<T>(mounts: readonly Mount[], work: (root: string) => Promise<T>): Promise<T>;
}

/** Begins by unmounting what a daemon that was killed left in `directory`. */
export const temporaryMounts = async (directory: string, log: Logger): Promise<TemporaryMounts> => {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const name of await readdir(directory)) {
    await remove(join(directory, name)).catch((error: unknown) => {
      log.warn({ path: join(directory, name), err: messageOf(error) }, 'a temporary mount is left');
    });
  }
  return {
    use: async (mounts, work) => {
      const root = await mkdtemp(join(directory, 'mount-'));
      try {
        for (const one of mounts) {
          await mountOnto(root, one, mountFrom).catch((error: unknown) => {
            throw unknownError(`failed to mount ${root}: ${messageOf(error)}`, { cause: error });
          });
        }
        return await work(root).catch((error: unknown) => {
          throw about(`mount callback failed on ${root}`, error); // containerd's words
        });
      } finally {
        // What the work gave, or why it failed, matters more than a directory that stays until the next start.
        await remove(root).catch((error: unknown) => {
          log.error({ path: root, err: messageOf(error) }, 'a temporary mount could not be removed');
        });
      }
    },
  };
};

/** Never what is in it: were it still mounted, that would be somebody's snapshot. */
const remove = async (root: string): Promise<void> => {
  await unmountAll(root);
  await rmdir(root);
};

/**
 * The working directory is the whole daemon's, so layers are named by descriptors: however long their names, over two
 * hundred of them fit the page that mount(2) takes.
 */
const mountFrom = async (directory: string, call: MountCall): Promise<void> => {
  using open = new DisposableStack();
  const byDescriptor = (layer: string): string => {
    const fd = openSync(join(directory, layer), constants.O_RDONLY | constants.O_DIRECTORY);
    open.defer(() => closeSync(fd));
    return `/proc/self/fd/${fd}`;
  };
  const data = call.data.replace(/(^|,)lowerdir=([^,]*)/, (_, comma: string, layers: string) => {
    return `${comma}lowerdir=${layers.split(':').map(byDescriptor).join(':')}`;
  });
  await mount({ ...call, data });
};
