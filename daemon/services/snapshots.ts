import { CodedError, codes, invalidArgument, messageOf, unimplemented } from '../../common/errdefs.ts';
import { parseFilters } from '../../common/filters.ts';
import { requireNamespace } from '../../common/namespace.ts';
import { timestampFromNanos } from '../../common/timestamp.ts';
import {
  type Info as InfoMessage,
  Kind as KindMessage,
  type ListSnapshotsResponse,
  SnapshotsDefinition,
} from '../../proto/gen/containerd/services/snapshots/v1/snapshots.ts';
import { type Call, type Service, service } from '../call.ts';
import type { Caller, Info, Kind, Snapshotter } from '../snapshots/snapshotter.ts';

/** Infos in one message of List, and the bytes of their texts from which on it is sent with fewer: labels can be many. */
const BLOCK = 100;
const BLOCK_BYTES = 1 << 20;

export const snapshotsService = (snapshotters: ReadonlyMap<string, Snapshotter>): Service => {
  const find = (name: string): Snapshotter => {
    if (name === '') throw invalidArgument('snapshotter argument missing');
    const found = snapshotters.get(name);
    if (found === undefined) throw invalidArgument(`snapshotter not loaded: ${name}`);
    return found;
  };
  return service(SnapshotsDefinition, {
    prepare: async ({ snapshotter, key, parent, labels }, call) => ({
      mounts: await find(snapshotter).prepare(callerOf(call), key, { parent, labels }),
    }),
    view: async ({ snapshotter, key, parent, labels }, call) => ({
      mounts: await find(snapshotter).view(callerOf(call), key, { parent, labels }),
    }),
    mounts: async ({ snapshotter, key }, call) => ({ mounts: await find(snapshotter).mounts(callerOf(call), key) }),
    commit: async ({ snapshotter, name, key, labels, parent }, call) => {
      // Asked for only of snapshotters with the capability "rebase".
      if (parent !== '') throw unimplemented('a commit onto another parent');
      await find(snapshotter).commit(callerOf(call), name, key, labels);
      return {};
    },
    remove: async ({ snapshotter, key }, call) => {
      await find(snapshotter).remove(callerOf(call), key);
      return {};
    },
    stat: async ({ snapshotter, key }, call) => ({
      info: toMessage(await find(snapshotter).stat(callerOf(call), key)),
    }),
    update: async ({ snapshotter, info, updateMask }, call) => {
      const change = { name: info?.name ?? '', labels: info?.labels ?? new Map<string, string>() };
      return { info: toMessage(await find(snapshotter).update(callerOf(call), change, updateMask ?? [])) };
    },
    list: async function* ({ snapshotter, filters }, call) {
      yield* blocks(find(snapshotter), filters, call);
    },
    usage: ({ snapshotter, key }, call) => find(snapshotter).usage(callerOf(call), key),
    cleanup: async ({ snapshotter }, call) => {
      await find(snapshotter).cleanup(call.signal);
      return {};
    },
  });
};

async function* blocks(
  snapshotter: Snapshotter,
  filters: readonly string[],
  call: Call,
): AsyncGenerator<ListSnapshotsResponse> {
  const { caller, filter } = uncoded(() => ({ caller: callerOf(call), filter: parseFilters(filters) }));
  let block: InfoMessage[] = [];
  let bytes = 0;
  for await (const info of snapshotter.walk(caller, filter)) {
    block.push(toMessage(info));
    bytes += textBytes(info);
    if (block.length < BLOCK && bytes < BLOCK_BYTES) continue;
    yield { info: block };
    block = [];
    bytes = 0;
  }
  if (block.length > 0) yield { info: block };
}

const textBytes = ({ name, parent, labels }: Info): number =>
  [name, parent, ...[...labels].flat()].reduce((sum, text) => sum + Buffer.byteLength(text), 0);

/** In containerd, what List refuses has no code. */
const uncoded = <T>(body: () => T): T => {
  try {
    return body();
  } catch (error) {
    throw new CodedError(codes.unknown, messageOf(error), { cause: error });
  }
};

const callerOf = ({ namespace, lease, signal }: Call): Caller => ({
  namespace: requireNamespace(namespace),
  lease: lease === '' ? undefined : lease,
  signal,
});

const kinds: Readonly<Record<Kind, KindMessage>> = {
  active: KindMessage.ACTIVE,
  view: KindMessage.VIEW,
  committed: KindMessage.COMMITTED,
};

const toMessage = (info: Info): InfoMessage => ({
  name: info.name,
  parent: info.parent,
  kind: kinds[info.kind],
  createdAt: timestampFromNanos(info.createdAt),
  updatedAt: timestampFromNanos(info.updatedAt),
  labels: new Map(info.labels),
});
