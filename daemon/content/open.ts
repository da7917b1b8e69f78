import { algorithmFor } from '../../common/digest.ts';
import { about, alreadyExists, invalidArgument } from '../../common/errdefs.ts';
import { nowNanos } from '../../native/index.ts';
import { type Holder, protect } from '../leases/protect.ts';
import { IngestData } from './ingest-data.ts';
import type { Ingest } from './ingest-store.ts';
import type { ContentParts } from './parts.ts';
import { type Claim, ContentWriter } from './writer.ts';

/** How long an ingest that no lease holds is kept, nanoseconds. Source: containerd's metadata store. */
const INGEST_LIFE_NANOS = 24n * 3_600n * 1_000_000_000n;

export interface Wanted {
  readonly ref: string;
  /** Bytes; 0n: not known. */
  readonly total: bigint;
  /** Digest; '': not known. */
  readonly expected: string;
}

/**
 * Begins an ingest, or goes on with one. The caller closes the writer. Throws AlreadyExists if the namespace has what is
 * expected (the call's lease then holds it), Unavailable while somebody else writes, NotFound for a lease that is not
 * there.
 */
export const openWriter = async (parts: ContentParts, holder: Holder, wanted: Wanted): Promise<ContentWriter> => {
  if (wanted.ref === '') throw invalidArgument('ref must not be empty');
  await parts.locks.settled(parts.ingests.find(holder.namespace, wanted.ref));

  const begun = parts.db.transaction(() => begin(parts, holder, wanted));
  if (begun === 'exists') {
    await parts.db.durable();
    throw alreadyExists(`content ${wanted.expected}`);
  }
  // A power cut here would cost the beginning of an upload, so nobody waits for the disk.
  const { ingest, claim, anew } = begun;
  const options = { holder, ingest, algorithm: algorithmFor(wanted.expected) };
  if (claim !== undefined) return new ContentWriter(parts, options, claim);
  try {
    const data = await IngestData.open(parts.files, ingest, options.algorithm);
    if (anew) await data.truncate();
    return new ContentWriter(parts, options, data);
  } catch (error) {
    await parts.locks.release(ingest, () => Promise.resolve());
    throw error;
  }
};

interface Begun {
  readonly ingest: Ingest;
  readonly claim: Claim | undefined;
  /** What is there of it is to be thrown away. */
  readonly anew: boolean;
}

const begin = (parts: ContentParts, holder: Holder, wanted: Wanted): Begun | 'exists' => {
  const { namespace } = holder;
  if (wanted.expected !== '' && parts.content.find(namespace, wanted.expected) !== undefined) {
    leaseExisting(parts, holder, wanted.expected);
    return 'exists';
  }
  const claim = claimOf(parts, wanted);
  parts.namespaces.ensure(namespace);
  const begun = { ...record(parts, namespace, wanted, claim), claim };
  const leased = protect(parts.leases, holder, { type: 'ingests', id: wanted.ref });
  if (!leased) parts.ingests.setExpiry(begun.ingest.id, nowNanos() + INGEST_LIFE_NANOS);
  if (claim === undefined) parts.locks.take(begun.ingest); // the last that can fail
  return begun;
};

const leaseExisting = (parts: ContentParts, holder: Holder, digest: string): void => {
  try {
    protect(parts.leases, holder, { type: 'content', id: digest });
  } catch (error) {
    throw about('unable to lease content', error);
  }
};

/** The blob that the namespace may have for naming its digest. A size that differs must be proved by writing. */
const claimOf = ({ content, removal, sharing }: ContentParts, { expected, total }: Wanted): Claim | undefined => {
  if (expected === '' || removal.isGoing(expected)) return undefined;
  const size = sharing === 'shared' ? content.sizeAnywhere(expected) : content.sizeAnywhere(expected, 'shareable');
  if (size === undefined || (total !== 0n && total !== size)) return undefined;
  return { digest: expected, size };
};

/** The row. One that was begun with another total is begun anew. */
const record = (
  { ingests }: ContentParts,
  namespace: string,
  { ref, total }: Wanted,
  claim: Claim | undefined,
): Omit<Begun, 'claim'> => {
  const known = total > 0n ? total : 0n;
  const fresh = { namespace, ref, total: claim?.size ?? known, claim: claim?.digest ?? '', startedAt: nowNanos() };
  const found = ingests.find(namespace, ref);
  if (found === undefined) return { ingest: ingests.insert(fresh), anew: false };
  const anew = claim === undefined && known > 0n && found.total > 0n && known !== found.total;
  const ingest = anew || claim !== undefined ? { ...fresh, id: found.id } : found;
  ingests.update(ingest);
  return { ingest, anew };
};
