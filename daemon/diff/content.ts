/** The file of a blob that is whole. */
export interface Blob {
  readonly path: string;
}

export interface IngestOptions {
  /** Bytes that are to come, if that is known. */
  readonly total?: number;
  /** Digest that they are to have. */
  readonly expected?: string;
  readonly labels?: ReadonlyMap<string, string>;
  /** Lease that is to hold the blob. */
  readonly lease?: string;
}

/** Bytes on their way to become a blob. */
export interface Ingest {
  /** Resolves when there is room for more. */
  write(bytes: Uint8Array): Promise<void>;
  /** Gives the blob's digest. A blob that is there already is no error, and gets the labels that it lacks. */
  commit(options?: {
    readonly size?: number;
    readonly expected?: string;
    readonly labels?: ReadonlyMap<string, string>;
  }): Promise<string>;
  /** Forgets what was written; after `commit` it does nothing. */
  abort(): Promise<void>;
}

/** What layers need of the content store. */
export interface DiffContent {
  /** NotFound: `content digest sha256:…: not found`. */
  reader(namespace: string, digest: string): Blob | Promise<Blob>;
  /** Begins anew if there is an ingest of that ref. Unavailable: somebody writes to it. */
  ingest(namespace: string, ref: string, options?: IngestOptions): Promise<Ingest>;
}
