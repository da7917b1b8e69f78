import type { Labels } from '../../common/labels.ts';
import type { Mount } from '../../proto/gen/containerd/types/types.ts';
import type { Kind, Usage } from './snapshotter.ts';

/** A snapshot as a backend knows it. */
export interface Made {
  /** Name of its directory. */
  readonly id: bigint;
  readonly namespace: string;
  /** Unique over all namespaces. */
  readonly backendKey: string;
  readonly kind: Kind;
  /** Ids, the nearest first. */
  readonly parents: readonly bigint[];
}

export interface Draft extends Made {
  readonly kind: 'active' | 'view';
  /** '': built on nothing. */
  readonly parentBackendKey: string;
  /** Only those that a snapshotter may see. */
  readonly labels: Labels;
}

/** A committed snapshot that the backend has already, in answer to a label `containerd.io/snapshot.ref`. */
export interface Target {
  readonly backendKey: string;
  readonly labels: Labels;
  /** Nanoseconds since 1970. */
  readonly createdAt: bigint;
  readonly updatedAt: bigint;
}

export type Created = { readonly mounts: Mount[] } | { readonly target: Target };

/**
 * Makes, measures and deletes what snapshots consist of. It keeps no list of them: that is in the rows, and the rows
 * say first what is going to be made. So everything here may be repeated, and found half done.
 */
export interface Backend {
  readonly name: string;
  /** Whether it is another process: then what is going to be made there is on our disk before. */
  readonly remote: boolean;
  create(draft: Draft, signal: AbortSignal): Promise<Created>;
  /** Throws FailedPrecondition for a committed one. */
  mounts(snapshot: Made, signal: AbortSignal): Promise<Mount[]>;
  /** undefined: what was measured when it was committed. */
  usage(snapshot: Made, signal: AbortSignal): Promise<Usage | undefined>;
  /** Throws FailedPrecondition unless it is active. */
  commit(
    snapshot: Made,
    committed: { readonly backendKey: string; readonly labels: Labels },
    signal: AbortSignal,
  ): Promise<Usage>;
  /** What it knows of a snapshot beyond the row; undefined: nothing. */
  readonly describe?: (
    snapshot: Made,
    signal: AbortSignal,
  ) => Promise<{ readonly kind: Kind; readonly labels: Labels }>;
  readonly update?: (
    snapshot: Made,
    change: { readonly labels: Labels; readonly mask: readonly string[] },
    signal: AbortSignal,
  ) => Promise<void>;
  /** Labels that a snapshot of this backend has by itself. */
  readonly ownLabels?: (id: bigint) => Labels;
  /** Deletes whatever there is of it, if there is anything. */
  discard(leftover: { readonly id: bigint; readonly namespace: string; readonly backendKey: string }): Promise<void>;
  /** Whether the caller of Remove waits until it is deleted. */
  readonly removeWaits: boolean;
  /** The directories that are there, where a snapshot is a directory. */
  readonly directories?: {
    /** Ids. */
    list(): Promise<bigint[]>;
  };
  /** For what it may have to do on its own. */
  readonly cleanup?: (signal: AbortSignal) => Promise<void>;
  close(): Promise<void>;
}
