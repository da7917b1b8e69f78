import { packAny } from '../../common/any.ts';
import { alreadyExists, invalidArgument, unavailable } from '../../common/errdefs.ts';
import { checkLabels, type Labels, withoutEmpty } from '../../common/labels.ts';
import { nowNanos } from '../../native/index.ts';
import { SnapshotPrepare } from '../../proto/gen/containerd/events/event_payloads.ts';
import type { Mount } from '../../proto/gen/containerd/types/types.ts';
import type { Draft, Target } from './backend.ts';
import { announce, type Context } from './context.ts';
import { inheritedLabels, SNAPSHOT_REF_LABEL } from './inherited-labels.ts';
import { checkKey, missingParent } from './refusals.ts';
import type { Caller, NewSnapshot, Usage } from './snapshotter.ts';
import type { Snapshot } from './store.ts';

type Wanted = NewSnapshot & { readonly key: string; readonly kind: 'active' | 'view' };

/**
 * Three steps: a transaction that reserves an id, the work of the backend, a transaction that makes it a snapshot along
 * with its event and its lease. Cut in between, it leaves a reserved id, which is swept up.
 */
export const createSnapshot = async (context: Context, caller: Caller, given: Wanted): Promise<Mount[]> => {
  checkLabels('info.Labels', given.labels);
  checkKey(given.key);
  const wanted = { ...given, labels: withoutEmpty(given.labels) };
  const { db, events, backend, leftovers } = context;
  const draft = db.transaction(() => reserve(context, caller, wanted));
  const mounts = await leftovers.during(draft, async () => {
    if (backend.remote) await db.durable();
    const created = await backend.create(draft, caller.signal);
    if ('target' in created) return adopt(context, caller, { wanted, draft, target: created.target });
    caller.signal.throwIfAborted();
    db.transaction(() => record(context, caller, wanted, draft));
    return created.mounts;
  });
  await events.publish();
  return mounts;
};

const reserve = ({ store }: Context, { namespace }: Caller, { key, parent, kind, labels }: Wanted): Draft => {
  const target = labels.get(SNAPSHOT_REF_LABEL);
  if (target !== undefined && store.find(namespace, target) !== undefined) {
    throw alreadyExists('target snapshot', target);
  }
  if (store.find(namespace, key) !== undefined) throw alreadyExists('snapshot', key);
  const base = parent === '' ? undefined : store.find(namespace, parent);
  if (parent !== '' && base === undefined) throw missingParent(parent);
  if (base !== undefined && base.kind !== 'committed') {
    const named = JSON.stringify(base.backendKey);
    throw invalidArgument(`failed to create snapshot: parent ${named} is not committed snapshot`);
  }
  return {
    ...store.reserve(namespace, key),
    kind,
    parents: base === undefined ? [] : [base.id, ...base.parents],
    parentBackendKey: base?.backendKey ?? '',
    labels: inheritedLabels(labels),
  };
};

const record = (context: Context, caller: Caller, { key, parent, kind, labels }: Wanted, draft: Draft): void => {
  const { store, backend } = context;
  if (store.find(caller.namespace, key) !== undefined) throw alreadyExists('snapshot', key);
  const now = nowNanos();
  insert(context, caller, { ...draft, name: key, parent, labels, createdAt: now, updatedAt: now });
  if (kind === 'view') return; // containerd tells of no view
  const event = { key, parent, snapshotter: backend.name };
  announce(context, caller, '/snapshot/prepare', packAny('containerd.events.SnapshotPrepare', SnapshotPrepare, event));
};

/** The backend has the snapshot that the label asks for: it becomes one of ours, and the caller is told so. */
const adopt = async (
  context: Context,
  caller: Caller,
  { wanted, draft, target }: { readonly wanted: Wanted; readonly draft: Draft; readonly target: Target },
): Promise<never> => {
  const { db, store } = context;
  const name = wanted.labels.get(SNAPSHOT_REF_LABEL) ?? '';
  db.transaction(() => {
    if (store.find(caller.namespace, name) !== undefined) return;
    if (store.leftovers().some(({ backendKey }) => backendKey === target.backendKey)) {
      throw unavailable(`target snapshot ${JSON.stringify(name)} is being removed, try again`);
    }
    const labels: Labels = new Map([...target.labels, ...wanted.labels]);
    insert(context, caller, { ...draft, ...target, name, parent: wanted.parent, kind: 'committed', labels });
  });
  await db.durable();
  throw alreadyExists(`target snapshot ${JSON.stringify(name)} from snapshotter`);
};

const NO_USAGE: Usage = { size: 0n, inodes: 0n };

const insert = ({ namespaces, leases, store }: Context, caller: Caller, snapshot: Omit<Snapshot, 'usage'>): void => {
  // It may have been removed, and even made anew, since the draft.
  const parent = snapshot.parent === '' ? undefined : store.find(caller.namespace, snapshot.parent);
  if (parent?.id !== snapshot.parents[0]) throw missingParent(snapshot.parent);
  namespaces.ensure(caller.namespace);
  leases.check(caller);
  store.insert({ ...snapshot, usage: NO_USAGE });
  leases.add(caller, snapshot.name);
};
