/** What a worker thread is asked to do with files. Paths are absolute. */
export type FileJob =
  | { readonly verb: 'copy'; readonly from: string; readonly to: string }
  | { readonly verb: 'measure'; readonly path: string }
  | { readonly verb: 'remove'; readonly path: string };

/** Of `measure`: bytes on the disk and inodes. */
export interface DiskUsage {
  readonly size: bigint;
  readonly inodes: bigint;
}

export type FileReply = { readonly usage: DiskUsage | undefined } | { readonly error: string; readonly errno: string };
