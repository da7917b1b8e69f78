import * as grpc from '@grpc/grpc-js';
import { alreadyExists } from '../../common/errdefs.ts';
import type { Labels } from '../../common/labels.ts';
import type { Snapshotter } from '../../daemon/snapshots/snapshotter.ts';
import { serveOn } from '../../daemon/serve.ts';
import { snapshotsService } from '../../daemon/services/snapshots.ts';
import { silent } from '../unit/daemon-harness.ts';

const REF = 'containerd.io/snapshot.ref';

/**
 * A snapshotter as it looks to one that can fetch layers by itself: a Prepare that names a target answers that it is
 * there, which it is then.
 */
export const withTargets = (inner: Snapshotter): Snapshotter =>
  new Proxy(inner, {
    get: (object, property) => {
      if (property === 'prepare') {
        return async (...[caller, key, snapshot]: Parameters<Snapshotter['prepare']>) => {
          const labels: Labels = snapshot.labels;
          if (!labels.has(REF)) return inner.prepare(caller, key, snapshot);
          const unnamed = new Map([...labels].filter(([name]) => name !== REF));
          await inner.prepare(caller, key, { ...snapshot, labels: unnamed });
          await inner.commit(
            caller,
            `fetched ${key}`,
            key,
            new Map([...labels, ['containerd.io/snapshot/by', 'itself']]),
          );
          throw alreadyExists('target snapshot', labels.get(REF));
        };
      }
      const value: unknown = Reflect.get(object, property, object);
      return typeof value === 'function' ? (value.bind(object) as unknown) : value;
    },
  });

/** Serves snapshotters as an external one does: containerd's snapshots service on a socket of its own. */
export const serveSnapshotters = async (
  address: string,
  snapshotters: ReadonlyMap<string, Snapshotter>,
): Promise<{ stop(): void }> => {
  const server = new grpc.Server();
  const never = new AbortController().signal;
  serveOn(server, snapshotsService(snapshotters), { log: silent, stopping: never, cut: never, underWay: new Set() });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${address}`, grpc.ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  return { stop: () => server.forceShutdown() };
};
