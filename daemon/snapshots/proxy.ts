import { CodedError, codeOf, codes, isNotFound, messageOf, notFound } from '../../common/errdefs.ts';
import { KeyedQueue } from '../../common/keyed-queue.ts';
import { nanosFromTimestamp } from '../../common/timestamp.ts';
import {
  type Info as InfoMessage,
  Kind as KindMessage,
} from '../../proto/gen/containerd/services/snapshots/v1/snapshots.ts';
import type { Backend, Draft, Target } from './backend.ts';
import { SNAPSHOT_REF_LABEL } from './inherited-labels.ts';
import { type RemoteCall, type RemoteLimits, RemoteSnapshots } from './remote.ts';
import type { Kind } from './snapshotter.ts';

/** Snapshots that another process keeps, under keys that we give it: containerd's proxy plugins. */
export const proxy = (
  { name, address }: { readonly name: string; readonly address: string },
  limits: RemoteLimits,
  /** What it is asked for by; another name than ours only in tests. */
  snapshotter = name,
): Backend => {
  const remote = new RemoteSnapshots(address, limits);
  const deletions = new KeyedQueue();

  // A call that makes something there is not cut: it might be made after we have asked to delete it.
  const uncut = (namespace: string): RemoteCall => ({ namespace, signal: undefined });

  const create = async (draft: Draft, signal: AbortSignal) => {
    const { backendKey: key, parentBackendKey: parent, labels, namespace, kind } = draft;
    const request = { snapshotter, key, parent, labels: new Map(labels) };
    const target = labels.get(SNAPSHOT_REF_LABEL);
    try {
      const { mounts } = await remote.call(kind === 'active' ? 'prepare' : 'view', request, uncut(namespace));
      return { mounts };
    } catch (error) {
      if (codeOf(error) !== codes.alreadyExists) throw error;
      // The key was new, so without a target this says nothing that a client could understand.
      if (target !== undefined) return { target: await find(draft, target, signal) };
      throw new CodedError(codes.unknown, `unexpected error from snapshotter: ${messageOf(error)}: unknown`, {
        cause: error,
      });
    }
  };

  const find = async ({ namespace, parentBackendKey }: Draft, ref: string, signal: AbortSignal): Promise<Target> => {
    const filter = `labels.${JSON.stringify(SNAPSHOT_REF_LABEL)}==${JSON.stringify(ref)},parent==${JSON.stringify(parentBackendKey)}`;
    for await (const info of remote.list({ snapshotter, filters: [filter] }, { namespace, signal })) {
      // It may have passed over the filter.
      if (info.kind !== KindMessage.COMMITTED || info.parent !== parentBackendKey) continue;
      if (info.labels.get(SNAPSHOT_REF_LABEL) !== ref) continue;
      const [createdAt, updatedAt] = [nanosFromTimestamp(info.createdAt), nanosFromTimestamp(info.updatedAt)];
      return { backendKey: info.name, labels: info.labels, createdAt, updatedAt };
    }
    throw notFound(`target snapshot ${JSON.stringify(ref)} in backend`);
  };

  return {
    name,
    remote: true,
    removeWaits: false,
    create,
    mounts: async ({ namespace, backendKey: key }, signal) =>
      (await remote.call('mounts', { snapshotter, key }, { namespace, signal })).mounts,
    usage: ({ namespace, backendKey: key }, signal) =>
      remote.call('usage', { snapshotter, key }, { namespace, signal }),
    commit: async ({ namespace, backendKey: key }, { backendKey, labels }) => {
      const request = { snapshotter, name: backendKey, key, labels: new Map(labels) };
      await remote.call('commit', request, uncut(namespace));
      return { size: 0n, inodes: 0n }; // it is asked each time
    },
    describe: async ({ namespace, backendKey: key }, signal) => {
      const { info } = await remote.call('stat', { snapshotter, key }, { namespace, signal });
      return { kind: kindOf(info), labels: info?.labels ?? new Map() };
    },
    update: async ({ namespace, backendKey }, { labels, mask }, signal) => {
      const info = { name: backendKey, labels: new Map(labels) };
      await remote.call('update', { snapshotter, info, updateMask: [...mask] }, { namespace, signal });
    },
    // One after another: it refuses to delete one that another is built on, and that one was deleted before.
    discard: ({ namespace, backendKey: key }) =>
      deletions.run('', async () => {
        try {
          await remote.call('remove', { snapshotter, key }, uncut(namespace));
        } catch (error) {
          if (!isNotFound(error)) throw error;
        }
      }),
    cleanup: async (signal) => {
      try {
        await remote.call('cleanup', { snapshotter }, { namespace: CLEANUP_NAMESPACE, signal });
      } catch (error) {
        if (codeOf(error) !== codes.unimplemented) throw error; // it has nothing to clean up
      }
    },
    close: async () => remote.close(),
  };
};

/** A cleanup is about all namespaces, but some services want to be told one in every call. */
const CLEANUP_NAMESPACE = 'default';

/** What is neither active nor a view is committed, as in containerd. */
const kindOf = (info: InfoMessage | undefined): Kind => {
  if (info?.kind === KindMessage.ACTIVE) return 'active';
  return info?.kind === KindMessage.VIEW ? 'view' : 'committed';
};
