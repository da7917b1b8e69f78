import { codeOf, codes } from '../../common/errdefs.ts';
import type { Labels } from '../../common/labels.ts';
import { abortIngest } from './abort.ts';
import { openWriter } from './open.ts';
import type { ContentParts } from './parts.ts';
import type { ContentWriter } from './writer.ts';

export interface IngestOptions {
  /** Digest, where it is known. */
  readonly expected?: string | undefined;
  /** Bytes, where they are known. */
  readonly total?: bigint | number | undefined;
  /** Of the blob, unless the commit gives others. */
  readonly labels?: Labels | undefined;
  /** Keeps the ingest, and then the blob, from being collected. */
  readonly lease?: string | undefined;
}

export interface CommitOptions {
  /** Bytes; a blob of another size is refused. */
  readonly size?: bigint | number | undefined;
  readonly expected?: string | undefined;
  readonly labels?: Labels | undefined;
}

/** How other parts of the daemon write a blob, from its beginning. A commit that went well ends it, or else `abort`. */
export interface Ingester {
  /** `bytes` must stay as they are until it resolves. */
  write(bytes: Uint8Array): Promise<void>;
  /** Gives the digest, also of a blob that the namespace has already (whose labels stay). FailedPrecondition: not what was expected. */
  commit(options?: CommitOptions): Promise<string>;
  /** Forgets what was written; after a commit it does nothing. */
  abort(): Promise<void>;
}

/** What an earlier writer left under the reference is thrown away. For errors see open.ts. */
export const openIngester = async (
  parts: ContentParts,
  namespace: string,
  ref: string,
  { expected = '', total = 0n, labels, lease }: IngestOptions = {},
): Promise<Ingester> => {
  const holder = { namespace, lease };
  const writer = await openWriter(parts, holder, { ref, total: BigInt(total), expected });
  let ended = false;
  const abort = async (): Promise<void> => {
    if (ended) return;
    ended = true;
    await writer.close();
    await abortIngest(parts, holder, ref);
  };
  try {
    if (writer.status.offset > 0n) await writer.truncate();
  } catch (error) {
    await abort();
    throw error;
  }
  return {
    write: (bytes) => writer.write(bytes),
    commit: async (options = {}) => {
      const digest = await committed(writer, {
        size: BigInt(options.size ?? total),
        expected: options.expected ?? expected,
        labels: options.labels ?? labels ?? new Map(),
      });
      ended = true;
      await writer.close();
      return digest;
    },
    abort,
  };
};

const committed = async (writer: ContentWriter, commit: Parameters<ContentWriter['commit']>[0]): Promise<string> => {
  try {
    return await writer.commit(commit);
  } catch (error) {
    if (codeOf(error) === codes.alreadyExists) return writer.digest;
    throw error;
  }
};
