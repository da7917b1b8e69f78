import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { notFound } from '../../common/errdefs.ts';
import type { Filter } from '../../common/filters.ts';
import type { Ingest } from './ingest-store.ts';
import type { ContentParts } from './parts.ts';

export interface IngestStatus {
  readonly ref: string;
  /** Bytes. */
  readonly offset: bigint;
  /** Bytes; 0n: nobody has said. */
  readonly total: bigint;
  /** Nanoseconds since 1970. */
  readonly startedAt: bigint;
  readonly updatedAt: bigint;
}

/** Throws NotFound, also for an ingest that only stands for another namespace's blob. */
export const ingestStatus = async (parts: ContentParts, namespace: string, ref: string): Promise<IngestStatus> => {
  const status = await statusOf(parts, parts.ingests.get(namespace, ref));
  if (status === undefined) throw notFound(`reference ${ref}`);
  return status;
};

export const listIngests = async (parts: ContentParts, namespace: string, filter: Filter): Promise<IngestStatus[]> => {
  const wanted = parts.ingests.list(namespace).filter((ingest) => filter(([first]) => refField(ingest, first)));
  const statuses = await Promise.all(wanted.map((ingest) => statusOf(parts, ingest)));
  return statuses.filter((status) => status !== undefined);
};

const refField = ({ ref }: Ingest, field: string | undefined): string | undefined =>
  field === 'ref' ? ref : undefined;

/** What its file says; undefined: it has none. */
const statusOf = async ({ files }: ContentParts, ingest: Ingest): Promise<IngestStatus | undefined> => {
  const { ref, total, startedAt } = ingest;
  try {
    const { size, mtimeNs } = await stat(join(files.ingestPath(ingest), 'data'), { bigint: true });
    return { ref, total, startedAt, offset: size, updatedAt: mtimeNs };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
};
