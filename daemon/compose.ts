import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Service } from './call.ts';
import type { Config } from './config.ts';
import { containerStore } from './containers/store.ts';
import { makeContent } from './content-part.ts';
import { makeCollector } from './gc-part.ts';
import { contentStore } from './content/store.ts';
import type { Core, TasksPart } from './core.ts';
import { makeDiff } from './diff-part.ts';
import type { ForwardParts } from './events/forward.ts';
import { openEventLog } from './events/log.ts';
import { replayCursors } from './events/replay.ts';
import { keepTrimmed } from './events/trim.ts';
import { makeImages } from './images-part.ts';
import { imageStore } from './images/store.ts';
import { leaseStore } from './leases/store.ts';
import { namespaceStore, type Occupants } from './namespaces/store.ts';
import { containersService } from './services/containers.ts';
import { eventsService } from './services/events.ts';
import { healthService } from './services/health.ts';
import { introspectionService } from './services/introspection.ts';
import { leasesService } from './services/leases.ts';
import { namespacesService } from './services/namespaces.ts';
import { snapshotsService } from './services/snapshots.ts';
import { versionService } from './services/version.ts';
import { openDatabase } from './store/database.ts';
import { openSnapshotters } from './snapshots/snapshots.ts';
import { snapshottersWith } from './snapshots/store.ts';
import { serverUuid } from './uuid.ts';

/** The daemon, put together but not yet listening. */
export interface Daemon {
  readonly core: Core;
  readonly services: readonly Service[];
  /** For the ttrpc server. */
  readonly forward: ForwardParts;
  readonly ready: Promise<void>;
  /** For SIGUSR1: JSON. */
  readonly dump: () => unknown;
  close(): Promise<void>;
}

/** Makes the part that runs tasks (tasks-part.ts); see core.ts. */
export type MakeTasks = (core: Core) => TasksPart;

export const compose = async (
  config: Config,
  { log, stopping, makeTasks }: { readonly log: Logger; readonly stopping: AbortSignal; readonly makeTasks: MakeTasks },
): Promise<Daemon> => {
  const db = await openDatabase(join(config.root, 'metadata.db'), log);
  const events = openEventLog(db);
  const containers = containerStore(db);
  const withSnapshots = snapshottersWith(db);
  const namespaces = namespaceStore(db, [
    holds('images', imageStore(db)),
    holds('blobs', contentStore(db)),
    holds('containers', containers),
    (name) => withSnapshots(name).map((snapshotter) => `snapshots on ${JSON.stringify(snapshotter)} snapshotter`),
  ]);
  const core: Core = { config, log, db, events, containers, namespaces, leases: leaseStore(db), stopping };

  const content = makeContent(core);
  const snapshotters = await openSnapshotters(core, config);
  const collector = makeCollector(core, { content, snapshotters: snapshotters.all });
  const images = makeImages(core, { collector });
  const diff = await makeDiff(core, content);
  const tasks = makeTasks(core);
  const forward: ForwardParts = { db, events, absorb: tasks.absorb };
  const trimming = keepTrimmed(events, config.events, log);
  const services = [
    versionService(),
    healthService({ ready: tasks.ready, stopping }),
    introspectionService({
      uuid: serverUuid(config.root),
      root: config.root,
      snapshotters: snapshotters.plugins,
      runtimeInfo: tasks.runtimeInfo,
    }),
    namespacesService(core),
    containersService(core),
    leasesService({ ...core, collector }),
    snapshotsService(snapshotters.all),
    eventsService({ ...forward, cursors: replayCursors(db), isUndeleted: tasks.isUndeleted }),
    ...content.services,
    ...images.services,
    ...diff.services,
    ...tasks.services,
  ];

  return {
    core,
    services,
    forward,
    ready: tasks.ready,
    dump: () => ({
      config,
      namespaces: namespaces.names(),
      events: { published: String(events.published), oldest: String(events.oldest()) },
      tasks: tasks.dump(),
    }),
    close: async () => {
      trimming.close();
      await tasks.close();
      await collector.close();
      await diff.close();
      await content.close();
      await snapshotters.close();
      await db.close();
    },
  };
};

/** What a namespace that holds some of it cannot be removed for, in containerd's word. */
const holds =
  (kind: string, store: { any(namespace: string): boolean }): Occupants =>
  (namespace) =>
    store.any(namespace) ? [kind] : [];
