import type { Code } from '../../common/errdefs.ts';
import type { Compression } from './media-types.ts';

/** Unpack a layer's blob into a directory. */
export interface ApplyJob {
  readonly kind: 'apply';
  /** File of the blob. */
  readonly blob: string;
  /** What the blob's bytes must have, `sha256:…`: it may have been damaged since it was written. */
  readonly digest: string;
  readonly reading: 'as-is' | 'by-content';
  readonly root: string;
  /** If root is an overlay's upper directory: its lower ones, uppermost first. */
  readonly lower: readonly string[] | undefined;
  readonly devices: boolean;
  readonly syncFs: boolean;
}

export interface ApplyResult {
  /** Of the uncompressed layer: `sha256:…`. */
  readonly diffId: string;
  /** Bytes of the uncompressed layer. */
  readonly size: number;
}

/** Write what `upper` has and `lower` has not as a layer; its bytes come as pieces. */
export interface CompareJob {
  readonly kind: 'compare';
  readonly lower: string;
  readonly upper: string;
  /** upper is the upper directory of an overlay whose lower ones, mounted, are `lower`. */
  readonly overlay: boolean;
  readonly compression: Compression;
  /** Later times become this one, nanoseconds since 1970. */
  readonly latestTime: bigint | undefined;
}

/** 'whole-tree': the overlay holds what cannot be told from its upper directory; compare the mounted trees. */
export type CompareResult = { readonly diffId: string; readonly size: number } | 'whole-tree';

export type Job = ApplyJob | CompareJob;

/** What a worker is sent. `cancel` becomes 1 when nobody wants the result any more. */
export type ToWorker =
  | { readonly job: Job; readonly cancel: Int32Array }
  /** A piece has been taken. */
  | { readonly taken: true };

export type FromWorker =
  | { readonly result: ApplyResult | CompareResult }
  | { readonly error: { readonly code: Code; readonly message: string; readonly stack: string } }
  | { readonly piece: Uint8Array };
