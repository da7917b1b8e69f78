import { type Filter, parseFilters } from '../../common/filters.ts';
import { isNotFound, messageOf } from '../../common/errdefs.ts';
import { timestampFromNanos } from '../../common/timestamp.ts';
import { nowNanos } from '../../native/index.ts';
import type { Metric } from '../../proto/gen/containerd/types/types.ts';
import { callDeadlines } from '../shims/deadlines.ts';
import type { TaskRow } from '../store/tables/tasks.ts';
import type { TaskParts } from './parts.ts';

/** Shims that are asked at the same time. */
const PARALLEL_MAX = 16;

/** What the tasks of a namespace use. One that does not answer in time, or has nothing to tell, is left out. */
export const collectMetrics = async (
  parts: TaskParts,
  namespace: string,
  filters: readonly string[],
  signal: AbortSignal,
): Promise<Metric[]> => {
  const filter = parseFilters(filters);
  const rows = parts.tasks.list(namespace).filter((row) => row.status !== 'creating' && matches(filter, row));
  const metrics: Metric[] = [];
  const queue = rows.values();
  const worker = async (): Promise<void> => {
    for (const row of queue) {
      const metric = await metricOf(parts, row, signal);
      if (metric !== undefined) metrics.push(metric);
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL_MAX, rows.length) }, worker));
  return metrics.sort((one, other) => (one.id < other.id ? -1 : 1));
};

const matches = (filter: Filter, { id, namespace }: TaskRow): boolean =>
  filter(([field]) => (field === 'id' ? id : field === 'namespace' ? namespace : undefined));

const metricOf = async (parts: TaskParts, row: TaskRow, signal: AbortSignal): Promise<Metric | undefined> => {
  const timestamp = timestampFromNanos(nowNanos());
  try {
    const shim = parts.shims.get(row.shim);
    if (shim === undefined) return undefined;
    const { stats } = await shim.call('stats', { id: row.id }, { timeoutMs: callDeadlines.statsMs, signal });
    return { timestamp, id: row.id, data: stats };
  } catch (error) {
    if (!isNotFound(error)) {
      parts.log.warn({ namespace: row.namespace, container: row.id, err: messageOf(error) }, 'collecting metrics');
    }
    return undefined;
  }
};
