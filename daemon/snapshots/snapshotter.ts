import type { Filter } from '../../common/filters.ts';
import type { Labels } from '../../common/labels.ts';
import type { Mount } from '../../proto/gen/containerd/types/types.ts';

/** active: to be written, and committed or thrown away; view: to be read; committed: never changes, can be a parent. */
export type Kind = 'active' | 'view' | 'committed';

export interface Info {
  readonly name: string;
  /** '' for one that is built on nothing. */
  readonly parent: string;
  readonly kind: Kind;
  /** Nanoseconds since 1970. */
  readonly createdAt: bigint;
  readonly updatedAt: bigint;
  readonly labels: Labels;
}

/** What a snapshot takes on the disk beside its parents. */
export interface Usage {
  /** Bytes. */
  readonly size: bigint;
  readonly inodes: bigint;
}

/** For whom something is done. */
export interface Caller {
  readonly namespace: string;
  /** What is made is added to this lease. */
  readonly lease: string | undefined;
  readonly signal: AbortSignal;
}

export interface NewSnapshot {
  /** Key of a committed snapshot; '': built on nothing. */
  readonly parent: string;
  readonly labels: Labels;
}

/**
 * Keeps file systems that are built on one another. Keys belong to the caller's namespace; they are any text but ''.
 *
 * A snapshot is made by `prepare` or `view`; what they give is to be mounted by the caller, who may ask for it again
 * with `mounts`. `commit` turns an active one into a committed one of another name, which from then on is the one that
 * is there. All that a call says is on the disk when it resolves; a call that fails leaves nothing behind that can be
 * seen, and what it leaves on the disk `cleanup` finds.
 *
 * Refusals are containerd's: NotFound, AlreadyExists for a key that is taken, InvalidArgument for a parent that is not
 * committed, FailedPrecondition for the wrong kind and for removing what others are built on.
 */
export interface Snapshotter {
  readonly name: string;
  stat(caller: Caller, key: string): Promise<Info>;
  /** `mask`: paths `labels` and `labels.<key>`; an empty one replaces all labels. */
  update(
    caller: Caller,
    change: { readonly name: string; readonly labels: Labels },
    mask: readonly string[],
  ): Promise<Info>;
  /** Of an active one as it is now; of a committed one as it was committed. */
  usage(caller: Caller, key: string): Promise<Usage>;
  mounts(caller: Caller, key: string): Promise<Mount[]>;
  /**
   * A label `containerd.io/snapshot.ref` names a committed snapshot that the caller is after: if it is there, or can be
   * had at once, the call fails with AlreadyExists, and it is there then.
   */
  prepare(caller: Caller, key: string, snapshot: NewSnapshot): Promise<Mount[]>;
  view(caller: Caller, key: string, snapshot: NewSnapshot): Promise<Mount[]>;
  commit(caller: Caller, name: string, key: string, labels: Labels): Promise<void>;
  /** The key is free at once; what is on the disk goes later. */
  remove(caller: Caller, key: string): Promise<void>;
  /** In the order of keys. */
  walk(caller: Caller, filter: Filter): AsyncIterable<Info>;
  /** Deletes what belongs to no snapshot, whatever it was that left it. */
  cleanup(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
