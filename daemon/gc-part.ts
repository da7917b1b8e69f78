import { isNotFound } from '../common/errdefs.ts';
import type { ContentPart } from './content-part.ts';
import { ingestStore } from './content/ingest-store.ts';
import { contentStore } from './content/store.ts';
import type { Core } from './core.ts';
import { Collector } from './gc/collector.ts';
import { type Node, splitSnapshotKey } from './gc/nodes.ts';
import { imageStore } from './images/store.ts';
import type { Snapshotter } from './snapshots/snapshotter.ts';
import { snapshotStore } from './snapshots/store.ts';

export interface GcParts {
  readonly content: Pick<ContentPart, 'removeUnreferenced'>;
  readonly snapshotters: ReadonlyMap<string, Snapshotter>;
}

/** Puts together the part of the daemon that removes what nobody refers to. */
export const makeCollector = (core: Core, { content, snapshotters }: GcParts): Collector => {
  const { db, log, leases, stopping } = core;
  const [blobs, ingests, images] = [contentStore(db), ingestStore(db), imageStore(db)];
  let settledOnce = false;
  return new Collector({
    db,
    log,
    remove: {
      lease: ({ namespace, key }) => ifThere(() => leases.remove(namespace, key)),
      image: ({ namespace, key }) => ifThere(() => images.remove(namespace, key)),
      content: ({ namespace, key }) => ifThere(() => blobs.remove(namespace, key)),
      ingest: ({ namespace, key }) => {
        const ingest = ingests.find(namespace, key);
        if (ingest !== undefined) ingests.remove(ingest.id);
      },
      snapshot: (node) => removeSnapshot(core, node),
    },
    settle: async (removed) => {
      if (settledOnce && removed.length === 0) return;
      settledOnce = true;
      await content.removeUnreferenced();
      await Promise.all([...snapshotters.values()].map((one) => one.cleanup?.(stopping)));
    },
  });
};

/** It becomes a leftover, which the snapshotter deletes. */
const removeSnapshot = ({ db }: Core, { namespace, key }: Node): void => {
  const [snapshotter, name] = splitSnapshotKey(key);
  const store = snapshotStore(db, snapshotter);
  const snapshot = store.find(namespace, name);
  if (snapshot !== undefined && !store.hasChildren(snapshot.id)) store.remove(snapshot);
};

const ifThere = (remove: () => void): void => {
  try {
    remove();
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
};
