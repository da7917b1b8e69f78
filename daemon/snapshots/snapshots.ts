import { join } from 'node:path';
import type { Logger } from 'pino';
import { messageOf } from '../../common/errdefs.ts';
import type { Config } from '../config.ts';
import type { Backend } from './backend.ts';
import { type FileThreads, FileWorkers } from './file-workers.ts';
import { native } from './native.ts';
import { overlayfs } from './overlayfs.ts';
import { proxy } from './proxy.ts';
import type { Snapshotter } from './snapshotter.ts';
import type { SnapshotterParts } from './context.ts';
import { StoredSnapshotter } from './stored-snapshotter.ts';

/** Trees that are copied or measured at a time for callers, and deleted at a time for nobody. */
const CALLERS_THREADS_MAX = 2;
const DELETING_THREADS_MAX = 1;

/** What a snapshotter is called among plugins. */
export const SNAPSHOTTER_PLUGIN = 'io.containerd.snapshotter.v1';

/** A snapshotter as introspection tells of it. */
export interface SnapshotterPlugin {
  readonly id: string;
  readonly exports: ReadonlyMap<string, string>;
  /** Whether it makes file systems for this machine; another process may do so for any. */
  readonly local: boolean;
  /** Why it cannot be used; undefined: it can. */
  readonly failure: Error | undefined;
}

export interface Snapshotters {
  /** By name. */
  readonly all: ReadonlyMap<string, Snapshotter>;
  readonly plugins: readonly SnapshotterPlugin[];
  close(): Promise<void>;
}

/** Opens the snapshotters. One that cannot be used here is told of, and the others are. */
export const openSnapshotters = async (parts: SnapshotterParts, config: Config): Promise<Snapshotters> => {
  const workers = new FileWorkers(CALLERS_THREADS_MAX);
  const deleting = new FileWorkers(DELETING_THREADS_MAX);
  const all = new Map<string, StoredSnapshotter>();
  const plugins: SnapshotterPlugin[] = [];
  for (const { open, ...plugin } of kinds(config, { workers, deleting })) {
    const backend = await opened(plugin.id, open, parts.log);
    plugins.push({ ...plugin, failure: backend instanceof Error ? backend : undefined });
    if (!(backend instanceof Error)) all.set(plugin.id, new StoredSnapshotter(parts, backend));
  }
  const sweeps = [...all.values()].map((snapshotter) => sweep(snapshotter, parts.log));
  return {
    all,
    plugins,
    close: async () => {
      await Promise.all([workers.close(), deleting.close(), ...[...all.values()].map((one) => one.close())]);
      await Promise.all(sweeps);
    },
  };
};

type Plugin = Omit<SnapshotterPlugin, 'failure'> & { readonly open: () => Backend | Promise<Backend> };

const kinds = (config: Config, threads: FileThreads): readonly Plugin[] => {
  const { overlayfs: overlay, native: nativeSettings, proxies } = config.snapshotters;
  const rootOf = (id: string, { root }: { readonly root: string }): string =>
    root === '' ? join(config.root, `${SNAPSHOTTER_PLUGIN}.${id}`) : root;
  const overlayRoot = rootOf('overlayfs', overlay);
  const nativeRoot = rootOf('native', nativeSettings);
  return [
    {
      id: 'native',
      exports: new Map(), // nor does containerd 1.6 tell where
      local: true,
      open: () => native(nativeRoot, threads),
    },
    {
      id: 'overlayfs',
      exports: new Map([['root', overlayRoot]]),
      local: true,
      open: () => overlayfs({ ...overlay, root: overlayRoot }, threads),
    },
    ...[...proxies].map(([name, address]) => ({
      id: name,
      exports: new Map([['address', address]]),
      local: false,
      open: () => proxy({ name, address }, config),
    })),
  ];
};

const opened = async (id: string, open: Plugin['open'], log: Logger): Promise<Backend | Error> => {
  try {
    return await open();
  } catch (error) {
    log.error({ snapshotter: id, err: messageOf(error) }, 'a snapshotter cannot be used');
    return error instanceof Error ? error : new Error(String(error));
  }
};

/** What the last daemon left undone. Nothing waits for it. */
const sweep = (snapshotter: StoredSnapshotter, log: Logger): Promise<void> =>
  snapshotter.sweep().catch((error: unknown) => {
    log.warn({ snapshotter: snapshotter.name, err: messageOf(error) }, 'snapshots could not be cleaned up');
  });
