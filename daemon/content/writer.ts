import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { algorithmFor } from '../../common/digest.ts';
import { failedPrecondition } from '../../common/errdefs.ts';
import { checkLabels, type Labels } from '../../common/labels.ts';
import type { Holder } from '../leases/protect.ts';
import { commitContent, type Finished } from './commit.ts';
import { IngestData } from './ingest-data.ts';
import type { Ingest } from './ingest-store.ts';
import type { ContentParts } from './parts.ts';

/** Another namespace's blob for which an ingest stands until somebody writes into it. */
export interface Claim {
  readonly digest: string;
  readonly size: bigint;
}

export interface WriterStatus {
  /** Bytes so far. */
  readonly offset: bigint;
  /** Nanoseconds since 1970. */
  readonly startedAt: bigint;
  readonly updatedAt: bigint;
}

export interface Commit {
  /** Bytes; 0n: not known. */
  readonly size: bigint;
  /** Digest; '': not known. */
  readonly expected: string;
  readonly labels: Labels;
}

export interface WriterOptions {
  readonly holder: Holder;
  readonly ingest: Ingest;
  /** Of the digests that it tells: the one of what is expected. */
  readonly algorithm: string;
}

/** Writes one ingest. It is either data or a claim; its methods must not overlap. */
export class ContentWriter {
  readonly #parts: ContentParts;
  readonly #options: WriterOptions;
  readonly #claim: Claim | undefined;
  #data: IngestData | undefined;

  /** With data the lock of the ingest is the writer's, who lets go of it; a claim needs none. */
  constructor(parts: ContentParts, options: WriterOptions, source: IngestData | Claim) {
    this.#parts = parts;
    this.#options = options;
    if (source instanceof IngestData) this.#data = source;
    else this.#claim = source;
  }

  get status(): WriterStatus {
    const { startedAt } = this.#options.ingest;
    if (this.#data !== undefined) {
      return { offset: BigInt(this.#data.offset), startedAt, updatedAt: this.#data.updatedAt };
    }
    return { offset: this.#claim?.size ?? 0n, startedAt, updatedAt: startedAt };
  }

  /** Of what has come so far. */
  get digest(): string {
    return this.#data?.digest ?? this.#claim?.digest ?? '';
  }

  async write(bytes: Uint8Array): Promise<void> {
    const data = this.#data ?? (await this.#unshare({ copy: true }));
    await data.write(bytes);
  }

  /** Begins anew. */
  async truncate(): Promise<void> {
    const data = this.#data ?? (await this.#unshare({ copy: false }));
    await data.truncate();
  }

  /**
   * Makes it a blob of the namespace; gives its digest. FailedPrecondition: not the size or digest that was expected,
   * and the ingest stays. For AlreadyExists and NotFound see commit.ts. Then the writer is to be closed, whatever came.
   */
  async commit({ size, expected, labels }: Commit): Promise<string> {
    checkLabels('info.Labels', labels);
    const { ref } = this.#options.ingest;
    const { offset } = this.status;
    if (size !== 0n && size !== offset) {
      throw failedPrecondition(`${JSON.stringify(ref)} failed size validation: ${offset} != ${size}`);
    }
    const finished = await this.#finish(expected, labels);
    await commitContent(this.#parts, this.#options.holder, finished);
    return finished.digest;
  }

  /** Lets go of it. What was not committed stays, for the next writer to go on. */
  async close(): Promise<void> {
    const data = this.#data;
    if (data === undefined) return;
    this.#data = undefined;
    await this.#parts.locks.release(this.#options.ingest, () => data.close());
  }

  async #finish(expected: string, labels: Labels): Promise<Finished> {
    const { ingest } = this.#options;
    if (this.#data === undefined) return { ingest, data: undefined, labels, ...this.#finishClaim(expected) };
    const data = this.#data;
    const size = BigInt(data.offset);
    const digest = await data.seal(algorithmFor(expected === '' ? data.digest : expected));
    if (expected !== '' && expected !== digest) {
      throw failedPrecondition(`unexpected commit digest ${digest}, expected ${expected}`);
    }
    await data.makeReadOnly();
    return { ingest, data: data.path, labels, digest, size };
  }

  #finishClaim(expected: string): Claim {
    const claim = this.#claim;
    if (claim === undefined) throw failedPrecondition('cannot commit on closed writer');
    if (expected !== '' && expected !== claim.digest) {
      throw failedPrecondition(`${JSON.stringify(this.#options.ingest.ref)} unexpected digest`);
    }
    return claim;
  }

  /** From now on it has data of its own; at the beginning, on demand, the blob's that it stood for. */
  async #unshare({ copy }: { readonly copy: boolean }): Promise<IngestData> {
    const { files, locks } = this.#parts;
    const { ingest, algorithm } = this.#options;
    if (this.#claim === undefined) throw failedPrecondition('cannot write on closed writer');
    locks.take(ingest);
    try {
      if (copy) {
        await mkdir(files.ingestPath(ingest), { recursive: true });
        await copyFile(files.blobPath(this.#claim.digest), join(files.ingestPath(ingest), 'data'));
      }
      return (this.#data = await IngestData.open(files, ingest, algorithm));
    } catch (error) {
      await locks.release(ingest, () => Promise.resolve());
      throw error;
    }
  }
}
