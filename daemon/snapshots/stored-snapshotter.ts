import { packAny } from '../../common/any.ts';
import { CodedError, codes, failedPrecondition, invalidArgument, isNotFound } from '../../common/errdefs.ts';
import { applyMapPath } from '../../common/field-mask.ts';
import type { Filter } from '../../common/filters.ts';
import { checkLabels, type Labels, withoutEmpty } from '../../common/labels.ts';
import { nowNanos } from '../../native/index.ts';
import { SnapshotRemove } from '../../proto/gen/containerd/events/event_payloads.ts';
import type { Mount } from '../../proto/gen/containerd/types/types.ts';
import type { Backend } from './backend.ts';
import { commitSnapshot } from './commit.ts';
import { announce, type Context, contextOf, required, type SnapshotterParts } from './context.ts';
import { createSnapshot } from './create.ts';
import { infoFields } from './info-fields.ts';
import { inheritedLabels } from './inherited-labels.ts';
import type { Caller, Info, NewSnapshot, Snapshotter, Usage } from './snapshotter.ts';
import type { Snapshot } from './store.ts';

/** Rows read at once by a walk. Between two pages other calls have their turn. */
const PAGE = 100;

/** A snapshotter whose list of snapshots is our rows, and whose snapshots a backend makes. */
export class StoredSnapshotter implements Snapshotter {
  readonly name: string;
  readonly #context: Context;

  constructor(parts: SnapshotterParts, backend: Backend) {
    this.name = backend.name;
    this.#context = contextOf(parts, backend);
  }

  async stat(caller: Caller, key: string): Promise<Info> {
    return this.#described(required(this.#context, caller, key), caller.signal);
  }

  async update(
    caller: Caller,
    { name, labels: wanted }: { readonly name: string; readonly labels: Labels },
    mask: readonly string[],
  ): Promise<Info> {
    if (name === '') throw new CodedError(codes.invalidArgument, 'invalid argument');
    const { db, store, backend } = this.#context;
    const change = (): { readonly snapshot: Snapshot; readonly labels: Labels } => {
      const snapshot = required(this.#context, caller, name);
      const labels = applyMask(snapshot, wanted, mask);
      checkLabels('info.Labels', labels);
      return { snapshot, labels: withoutEmpty(labels) };
    };
    if (backend.update !== undefined) {
      const { snapshot, labels } = change();
      await backend.update(snapshot, { labels: inheritedLabels(labels), mask }, caller.signal);
    }
    const updated = db.transaction(() => {
      const { snapshot, labels } = change();
      const updatedAt = nowNanos();
      store.setLabels(snapshot.id, labels, updatedAt);
      return { ...snapshot, labels, updatedAt };
    });
    await db.durable();
    return this.#described(updated, caller.signal);
  }

  async usage(caller: Caller, key: string): Promise<Usage> {
    const snapshot = required(this.#context, caller, key);
    return (await this.#context.backend.usage(snapshot, caller.signal)) ?? snapshot.usage;
  }

  async mounts(caller: Caller, key: string): Promise<Mount[]> {
    return this.#context.backend.mounts(required(this.#context, caller, key), caller.signal);
  }

  prepare(caller: Caller, key: string, snapshot: NewSnapshot): Promise<Mount[]> {
    return createSnapshot(this.#context, caller, { ...snapshot, key, kind: 'active' });
  }

  view(caller: Caller, key: string, snapshot: NewSnapshot): Promise<Mount[]> {
    return createSnapshot(this.#context, caller, { ...snapshot, key, kind: 'view' });
  }

  commit(caller: Caller, name: string, key: string, labels: Labels): Promise<void> {
    return commitSnapshot(this.#context, caller, { name, key, labels });
  }

  async remove(caller: Caller, key: string): Promise<void> {
    const { db, events, store, backend, leases, leftovers } = this.#context;
    const left = db.transaction(() => {
      const snapshot = required(this.#context, caller, key);
      if (store.hasChildren(snapshot.id)) throw failedPrecondition('cannot remove snapshot with child');
      leases.remove(caller, key);
      const event = { key, snapshotter: this.name };
      const payload = packAny('containerd.events.SnapshotRemove', SnapshotRemove, event);
      announce(this.#context, caller, '/snapshot/remove', payload);
      return store.remove(snapshot);
    });
    await events.publish();
    const discarded = left === undefined ? undefined : leftovers.discard(left);
    if (backend.removeWaits) await discarded;
  }

  async *walk(caller: Caller, filter: Filter): AsyncGenerator<Info> {
    for (let after = ''; ;) {
      const page = this.#context.store.list(caller.namespace, { after, limit: PAGE });
      for (const snapshot of page) {
        const info = await this.#described(snapshot, caller.signal).catch(goneIsUndefined);
        if (info !== undefined && filter(infoFields(info))) yield info;
      }
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      after = last.name;
    }
  }

  async cleanup(signal: AbortSignal): Promise<void> {
    await this.sweep();
    await this.#context.backend.cleanup?.(signal);
  }

  /** Deletes what an earlier daemon left. */
  sweep(): Promise<void> {
    return this.#context.leftovers.sweep();
  }

  async close(): Promise<void> {
    const { leftovers, backend } = this.#context;
    leftovers.stop();
    await backend.close();
    await leftovers.close();
  }

  async #described(snapshot: Snapshot, signal: AbortSignal): Promise<Info> {
    const { backend } = this.#context;
    const own = backend.ownLabels?.(snapshot.id) ?? [];
    const more = await backend.describe?.(snapshot, signal);
    const { name, parent, createdAt, updatedAt } = snapshot;
    const labels = new Map([...own, ...(more?.labels ?? []), ...snapshot.labels]);
    return { name, parent, kind: more?.kind ?? snapshot.kind, createdAt, updatedAt, labels };
  }
}

const goneIsUndefined = (error: unknown): undefined => {
  if (!isNotFound(error)) throw error;
};

const applyMask = (snapshot: Snapshot, wanted: Labels, mask: readonly string[]): Labels =>
  (mask.length === 0 ? ['labels'] : mask).reduce<Labels>((labels, path) => {
    const changed = applyMapPath('labels', path, labels, wanted);
    if (changed !== undefined) return changed;
    throw invalidArgument(`cannot update ${JSON.stringify(path)} field on snapshot ${JSON.stringify(snapshot.name)}`);
  }, snapshot.labels);
