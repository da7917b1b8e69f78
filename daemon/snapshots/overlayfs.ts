import { chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { invalidArgument } from '../../common/errdefs.ts';
import type { Labels } from '../../common/labels.ts';
import type { Mount } from '../../proto/gen/containerd/types/types.ts';
import type { Backend, Made } from './backend.ts';
import { Directories, ownerAndMode } from './directories.ts';
import type { FileThreads } from './file-workers.ts';
import { measured, requireActive, requireMountable } from './local-rules.ts';
import { overlayOptions } from './overlay-kernel.ts';

export interface OverlaySettings {
  /** Where its directories are. */
  readonly root: string;
  /** More options of the overlay's mounts, such as `volatile`. */
  readonly mountOptions: readonly string[];
  /** Whether Stat and List tell where a snapshot's own files are. */
  readonly upperdirLabel: boolean;
  /** Whether Remove waits until all is deleted. */
  readonly syncRemove: boolean;
}

const UPPERDIR_LABEL = 'containerd.io/snapshot/overlay.upperdir';

/** The mode of a directory that is built on nothing, and of the one that the kernel works in. Source: containerd. */
const FS_MODE = 0o755;
const WORK_MODE = 0o711;

/** Layers in directories, `<id>/fs` each, which the kernel lays over one another. */
export const overlayfs = async (settings: OverlaySettings, threads: FileThreads): Promise<Backend> => {
  const { root, mountOptions, upperdirLabel, syncRemove } = settings;
  if (/[,:\\]/.test(root)) {
    // In the options of a mount these part one directory from the next.
    throw invalidArgument(`overlayfs cannot use ${root}: its path must not contain a comma, a colon or a backslash`);
  }
  const directories = new Directories(root, threads.deleting);
  const { workers } = threads;
  await directories.prepare();
  const options = await overlayOptions(root, mountOptions);
  const upper = (id: bigint): string => join(directories.path(id), 'fs');

  const mountsOf = ({ id, kind, parents }: Pick<Made, 'id' | 'kind' | 'parents'>): Mount[] => {
    const [nearest] = parents;
    // An overlay wants two layers.
    if (nearest === undefined) return [bind(upper(id), kind === 'view' ? 'ro' : 'rw')];
    if (kind === 'view' && parents.length === 1) return [bind(upper(nearest), 'ro')];
    const own = kind === 'active' ? [`workdir=${join(directories.path(id), 'work')}`, `upperdir=${upper(id)}`] : [];
    const lower = `lowerdir=${parents.map(upper).join(':')}`;
    return [{ type: 'overlay', source: 'overlay', target: '', options: [...options, ...own, lower] }];
  };

  return {
    name: 'overlayfs',
    remote: false,
    removeWaits: syncRemove,
    create: async (draft) => {
      const [nearest] = draft.parents;
      const like = nearest === undefined ? undefined : await ownerAndMode(upper(nearest));
      await directories.make(draft.id, async (path) => {
        const fs = join(path, 'fs');
        await mkdir(fs);
        if (like !== undefined) await chown(fs, like.uid, like.gid);
        await chmod(fs, like?.mode ?? FS_MODE);
        if (draft.kind !== 'active') return;
        await mkdir(join(path, 'work'));
        await chmod(join(path, 'work'), WORK_MODE);
      });
      return { mounts: mountsOf(draft) };
    },
    mounts: async (snapshot) => {
      requireMountable('failed to get active mount', snapshot);
      return mountsOf(snapshot);
    },
    usage: async (snapshot, signal) =>
      snapshot.kind === 'active' ? measured(workers, upper(snapshot.id), signal) : undefined,
    commit: async (snapshot, _, signal) => {
      requireActive(snapshot);
      return measured(workers, upper(snapshot.id), signal);
    },
    ...(upperdirLabel ? { ownLabels: (id: bigint): Labels => new Map([[UPPERDIR_LABEL, upper(id)]]) } : {}),
    discard: ({ id }) => directories.remove(id),
    directories,
    close: () => Promise.resolve(),
  };
};

const bind = (source: string, access: 'ro' | 'rw'): Mount => ({
  type: 'bind',
  source,
  target: '',
  options: [access, 'rbind'],
});
