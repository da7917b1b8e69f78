import { chmod } from 'node:fs/promises';
import type { Mount } from '../../proto/gen/containerd/types/types.ts';
import type { Backend, Made } from './backend.ts';
import { Directories, ownerAndMode } from './directories.ts';
import type { FileThreads } from './file-workers.ts';
import { measured, requireActive, requireMountable } from './local-rules.ts';

/** The mode of a directory that is built on nothing. Source: containerd. */
const FS_MODE = 0o755;

/** Every active snapshot is a whole copy of its parent: works on every file system, and takes the room. */
export const native = async (root: string, threads: FileThreads): Promise<Backend> => {
  const directories = new Directories(root, threads.deleting);
  const { workers } = threads;
  await directories.prepare();

  const mountsOf = ({ id, kind, parents: [nearest] }: Pick<Made, 'id' | 'kind' | 'parents'>): Mount[] => {
    const source = directories.path(kind === 'active' || nearest === undefined ? id : nearest);
    return [{ type: 'bind', source, target: '', options: ['rbind', kind === 'view' ? 'ro' : 'rw'] }];
  };

  return {
    name: 'native',
    remote: false,
    removeWaits: false,
    create: async (draft, signal) => {
      const [nearest] = draft.parents;
      const parent = nearest === undefined ? undefined : directories.path(nearest);
      if (parent !== undefined) await ownerAndMode(parent);
      await directories.make(draft.id, async (path) => {
        await chmod(path, FS_MODE);
        if (parent === undefined || draft.kind === 'view') return;
        await workers.run({ verb: 'copy', from: parent, to: path }, signal);
      });
      return { mounts: mountsOf(draft) };
    },
    mounts: async (snapshot) => {
      requireMountable('failed to get snapshot mount', snapshot);
      return mountsOf(snapshot);
    },
    usage: async (snapshot, signal) =>
      snapshot.kind === 'active' ? measured(workers, directories.path(snapshot.id), signal) : undefined,
    commit: async (snapshot, _, signal) => {
      requireActive(snapshot);
      return measured(workers, directories.path(snapshot.id), signal);
    },
    discard: ({ id }) => directories.remove(id),
    directories,
    close: () => Promise.resolve(),
  };
};
