import { packAny } from '../../common/any.ts';
import { alreadyExists } from '../../common/errdefs.ts';
import { checkLabels, type Labels, withoutEmpty } from '../../common/labels.ts';
import { nowNanos } from '../../native/index.ts';
import { SnapshotCommit } from '../../proto/gen/containerd/events/event_payloads.ts';
import { announce, type Context, required } from './context.ts';
import { inheritedLabels } from './inherited-labels.ts';
import { checkKey, missing } from './refusals.ts';
import type { Caller } from './snapshotter.ts';
import type { Snapshot } from './store.ts';

/**
 * Three steps, as for a new one (create.ts): what the backend does in the second is measuring, or in another process a
 * commit under a key that is reserved before.
 */
export const commitSnapshot = async (
  context: Context,
  caller: Caller,
  { name, key, labels: given }: { readonly name: string; readonly key: string; readonly labels: Labels },
): Promise<void> => {
  checkLabels('info.Labels', given);
  checkKey(name);
  const labels = withoutEmpty(given);
  const { db, events, store, backend, leases, leftovers } = context;
  const check = (): Snapshot => {
    if (store.find(caller.namespace, name) !== undefined) throw alreadyExists('snapshot', name);
    leases.check(caller);
    return required(context, caller, key);
  };
  const { snapshot, intent } = db.transaction(() => ({
    snapshot: check(),
    intent: store.reserve(caller.namespace, name),
  }));
  await leftovers.during(intent, async () => {
    if (backend.remote) await db.durable();
    const { backendKey } = intent;
    const usage = await backend.commit(snapshot, { backendKey, labels: inheritedLabels(labels) }, caller.signal);
    db.transaction(() => {
      if (check().id !== snapshot.id) throw missing(key); // removed and made anew meanwhile
      const now = nowNanos();
      store.forget(intent.id);
      store.rename(snapshot.id, { name, backendKey, usage, createdAt: now, updatedAt: now, labels });
      leases.add(caller, name);
      leases.remove(caller, key);
      const event = { key, name, snapshotter: backend.name };
      announce(context, caller, '/snapshot/commit', packAny('containerd.events.SnapshotCommit', SnapshotCommit, event));
    });
  });
  await events.publish();
};
