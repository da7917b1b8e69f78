import assert from 'node:assert/strict';
import { test } from 'node:test';
import { usageOf } from '../../client/usage.ts';
import { packAny } from '../../common/any.ts';
import type { Metric } from '../../proto/gen/containerd/types/types.ts';
import { Metrics as MetricsV1 } from '../../proto/gen/io/containerd/cgroups/v1/cgroups_v1.ts';
import { Metrics as MetricsV2 } from '../../proto/gen/io/containerd/cgroups/v2/cgroups_v2.ts';

const metric = (data: Metric['data']): Metric => ({ id: 'web', timestamp: { seconds: 1n, nanos: 5 }, data });

test('metrics of cgroup v1 are understood', () => {
  const metrics = MetricsV1.fromPartial({
    cpu: { usage: { total: 5_000n } },
    memory: { usage: { usage: 900n, limit: 9_223_372_036_854_771_712n }, totalInactiveFile: 300n },
    pids: { current: 3n, limit: 0n },
    blkio: {
      ioServiceBytesRecursive: [
        { op: 'Read', value: 10n },
        { op: 'Write', value: 20n },
        { op: 'Read', value: 1n },
        { op: 'Total', value: 31n },
      ],
    },
  });
  assert.deepEqual(usageOf(metric(packAny('io.containerd.cgroups.v1.Metrics', MetricsV1, metrics))), {
    id: 'web',
    atNanos: 1_000_000_005n,
    cpuNanos: 5_000n,
    memoryBytes: 600n,
    memoryLimitBytes: undefined,
    pids: 3n,
    pidsMax: undefined,
    readBytes: 11n,
    writtenBytes: 20n,
  });
});

test('metrics of cgroup v2 are understood', () => {
  const metrics = MetricsV2.fromPartial({
    cpu: { usageUsec: 5n },
    memory: { usage: 900n, usageLimit: 1_000n, inactiveFile: 901n },
    pids: { current: 3n, limit: 64n },
    io: {
      usage: [
        { rbytes: 1n, wbytes: 2n },
        { rbytes: 10n, wbytes: 20n },
      ],
    },
  });
  assert.deepEqual(usageOf(metric(packAny('io.containerd.cgroups.v2.Metrics', MetricsV2, metrics))), {
    id: 'web',
    atNanos: 1_000_000_005n,
    cpuNanos: 5_000n,
    memoryBytes: 900n, // it had more inactive files than memory: taken at different moments
    memoryLimitBytes: 1_000n,
    pids: 3n,
    pidsMax: 64n,
    readBytes: 11n,
    writtenBytes: 22n,
  });
});

test('metrics of another type are none', () => {
  assert.equal(usageOf(metric({ typeUrl: 'some.other.Metrics', value: Buffer.alloc(0) })), undefined);
  assert.equal(usageOf(metric(undefined)), undefined);
});
