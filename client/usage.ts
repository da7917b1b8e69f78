import { unpackAny } from '../common/any.ts';
import { nanosFromTimestamp } from '../common/timestamp.ts';
import type { Metric } from '../proto/gen/containerd/types/types.ts';
import { Metrics as MetricsV1 } from '../proto/gen/io/containerd/cgroups/v1/cgroups_v1.ts';
import { Metrics as MetricsV2 } from '../proto/gen/io/containerd/cgroups/v2/cgroups_v2.ts';

/** What a task uses, of whichever version its cgroup is. */
export interface Usage {
  /** Of the container. */
  readonly id: string;
  /** When it was read, nanoseconds since 1970. */
  readonly atNanos: bigint;
  /** CPU time since its start, of all CPUs together. */
  readonly cpuNanos: bigint;
  /** Without what the kernel would give back at once: file caches that nobody has used lately. */
  readonly memoryBytes: bigint;
  /** Undefined: no limit of its own. */
  readonly memoryLimitBytes: bigint | undefined;
  readonly pids: bigint;
  /** Undefined: no limit of its own. */
  readonly pidsMax: bigint | undefined;
  /** From and to block devices, since its start. */
  readonly readBytes: bigint;
  readonly writtenBytes: bigint;
}

/** From here on a limit means that there is none: cgroup v1 says the largest whole page, v2 the largest number. */
const NO_LIMIT = 1n << 62n;

/** What the metrics say, whose type tells the version; undefined for a type that is neither. */
export const usageOf = ({ id, timestamp, data }: Metric): Usage | undefined => {
  const head = { id, atNanos: nanosFromTimestamp(timestamp) };
  const v1 = unpackAny(data, 'io.containerd.cgroups.v1.Metrics', MetricsV1);
  if (v1 !== undefined) return { ...head, ...ofV1(v1) };
  const v2 = unpackAny(data, 'io.containerd.cgroups.v2.Metrics', MetricsV2);
  return v2 === undefined ? undefined : { ...head, ...ofV2(v2) };
};

type Figures = Omit<Usage, 'id' | 'atNanos'>;

const ofV1 = ({ cpu, memory, pids, blkio }: MetricsV1): Figures => {
  const bytes = (op: string): bigint =>
    sum(
      (blkio?.ioServiceBytesRecursive ?? []).filter((entry) => entry.op.toLowerCase() === op),
      ({ value }) => value,
    );
  return {
    cpuNanos: cpu?.usage?.total ?? 0n,
    memoryBytes: less(memory?.usage?.usage, memory?.totalInactiveFile),
    memoryLimitBytes: limit(memory?.usage?.limit),
    pids: pids?.current ?? 0n,
    pidsMax: limit(pids?.limit),
    readBytes: bytes('read'),
    writtenBytes: bytes('write'),
  };
};

const ofV2 = ({ cpu, memory, pids, io }: MetricsV2): Figures => ({
  cpuNanos: (cpu?.usageUsec ?? 0n) * 1_000n,
  memoryBytes: less(memory?.usage, memory?.inactiveFile),
  memoryLimitBytes: limit(memory?.usageLimit),
  pids: pids?.current ?? 0n,
  pidsMax: limit(pids?.limit),
  readBytes: sum(io?.usage ?? [], ({ rbytes }) => rbytes),
  writtenBytes: sum(io?.usage ?? [], ({ wbytes }) => wbytes),
});

const less = (usage = 0n, inactive = 0n): bigint => (inactive < usage ? usage - inactive : usage);

/** 0 is what is said where nothing was set. */
const limit = (value = 0n): bigint | undefined => (value === 0n || value >= NO_LIMIT ? undefined : value);

const sum = <T>(entries: readonly T[], of: (entry: T) => bigint): bigint =>
  entries.reduce((total, entry) => total + of(entry), 0n);
