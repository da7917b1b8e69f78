import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after } from 'node:test';
import type { Backend } from '../../daemon/snapshots/backend.ts';
import { FileWorkers } from '../../daemon/snapshots/file-workers.ts';
import { native } from '../../daemon/snapshots/native.ts';
import { overlayfs } from '../../daemon/snapshots/overlayfs.ts';
import { proxy } from '../../daemon/snapshots/proxy.ts';
import { StoredSnapshotter } from '../../daemon/snapshots/stored-snapshotter.ts';
import { leaseStore } from '../../daemon/leases/store.ts';
import { namespaceStore } from '../../daemon/namespaces/store.ts';
import { NO_COLLECTION, startContainerd } from '../harness/containerd.ts';
import { testBed } from '../harness/temp.ts';
import { silent, testStore } from '../unit/daemon-harness.ts';
import { snapshotterContract, type SnapshotterSubject } from './snapshotter-contract.ts';

const bed = testBed();
const threads = { workers: new FileWorkers(2), deleting: new FileWorkers(1) };
after(() => Promise.all([threads.workers.close(), threads.deleting.close()]));

const subject = async (backend: Backend, kept: SnapshotterSubject['kept']): Promise<SnapshotterSubject> => {
  const store = await testStore();
  const { db, events } = store;
  const parts = { db, events, leases: leaseStore(db), namespaces: namespaceStore(db, []), log: silent };
  const snapshotter = new StoredSnapshotter(parts, backend);
  bed.defer(async () => {
    await snapshotter.close();
    await store[Symbol.asyncDispose]();
  });
  return { snapshotter, folder: bed.dir, kept };
};

const settings = { mountOptions: [], upperdirLabel: false, syncRemove: false };

const namesIn = (root: string) => async (): Promise<string[]> => (await readdir(join(root, 'snapshots'))).sort();

snapshotterContract('overlayfs', async () => {
  const root = bed.path('overlayfs');
  return subject(await overlayfs({ root, ...settings }, threads), namesIn(root));
});

snapshotterContract('native', async () => {
  const root = bed.path('native');
  return subject(await native(root, threads), namesIn(root));
});

snapshotterContract('proxy, to the overlayfs of a containerd', async () => {
  // As other snapshotters, it is not to collect what nobody has leased there.
  const { address, ctr } = await startContainerd(bed, { config: NO_COLLECTION });
  const limits = { receiveBytesMax: 16 << 20, sendBytesMax: 16 << 20 };
  return subject(proxy({ name: 'elsewhere', address }, limits, 'overlayfs'), async (namespace) => {
    const [, ...rows] = (await ctr.in(namespace).ok('snapshots', 'ls')).trimEnd().split('\n');
    return rows;
  });
});
