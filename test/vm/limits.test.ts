import assert from 'node:assert/strict';
import { before } from 'node:test';
import { jsonTypes, unpackAny } from '../../common/any.ts';
import { Metrics } from '../../proto/gen/io/containerd/cgroups/v2/cgroups_v2.ts';
import { cgroupPaths } from '../../shim/cgroup/paths.ts';
import { readStats } from '../../shim/cgroup/stats.ts';
import { compareSides, type Side } from '../compat/sides.ts';
import { must } from '../harness/exec.ts';
import { testBed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';
import { cgroupDrivers, readControl, requireVersion2 } from './cgroup-drivers.ts';

// Limits and metrics where cgroups are version 2, on containerd and on ours.

const bed = testBed();
const compare = compareSides(bed);
const LIMITS = ['--memory-limit', '33554432', '--cpu-quota', '50000', '--cpu-period', '100000'];
before(requireVersion2);

/** The metrics of the container `a`, which must be of version 2. */
const metricsOf = async ({ tasks }: Side): Promise<Metrics> => {
  const { metrics } = await tasks.metrics({ filters: ['id==a'] });
  const found = unpackAny(metrics[0]?.data, 'io.containerd.cgroups.v2.Metrics', Metrics);
  assert.ok(found, `metrics of type ${metrics[0]?.data?.typeUrl}`);
  return found;
};

const update = ({ tasks }: Side, resources: object): Promise<unknown> => {
  const value = Buffer.from(JSON.stringify(resources));
  const document = { typeUrl: jsonTypes.linuxResources, value };
  return tasks.update({ containerId: 'a', resources: document, annotations: new Map() });
};

for (const { name, flags, directory } of cgroupDrivers) {
  compare(
    `${name}: the limits of ctr run are in the cgroup's files and in the metrics`,
    async (side) => {
      await side.start('a', { flags: [...flags(side.daemon, 'a'), ...LIMITS] });
      const { memory, pids } = await metricsOf(side);
      const files = ['memory.max', 'cpu.max', 'cpu.weight'];
      return {
        files: files.map((file) => readControl(directory(side.daemon, 'a'), file)),
        limit: memory?.usageLimit,
        used: (memory?.usage ?? 0n) > 0n,
        pids: pids?.current,
      };
    },
    (seen) => {
      assert.deepEqual(seen.files.slice(0, 2), ['33554432', '50000 100000']);
      assert.deepEqual([seen.limit, seen.used, seen.pids], [33_554_432n, true, 1n]);
    },
  );

  compare(
    `${name}: an update of memory, pids and cpu is in the cgroup's files and in the metrics`,
    async (side) => {
      await side.start('a', { flags: flags(side.daemon, 'a') });
      const cpu = { quota: 20_000, period: 50_000, shares: 512 };
      await update(side, { memory: { limit: 67_108_864 }, pids: { limit: 17 }, cpu });
      const { memory, pids } = await metricsOf(side);
      const files = ['memory.max', 'pids.max', 'cpu.max', 'cpu.weight'];
      return {
        files: files.map((file) => readControl(directory(side.daemon, 'a'), file)),
        metrics: [memory?.usageLimit, pids?.limit],
      };
    },
    ({ files, metrics }) => {
      assert.deepEqual(files, ['67108864', '17', '20000 50000', '20']);
      assert.deepEqual(metrics, [67_108_864n, 17n]);
    },
  );
}

compare(
  'the limit of processes holds',
  async (side) => {
    const script = 'read x; i=0; while [ $i -lt 20 ] && sleep 1000 & do i=$((i + 1)); done; echo "not reached"';
    const session = side.ctr.attach(side.words([], 'a', ['/bin/sh', '-c', script]));
    await eventually(() => side.pid('a'));
    await update(side, { pids: { limit: 5 } });
    session.write('\n');
    await session.end();
    return [session.stdout, /can't fork/.test(session.stderr)];
  },
  (seen) => assert.deepEqual(seen, ['', true]),
);

compare(
  'ctr tasks metrics shows the same values by the same names, as a table and as JSON',
  async (side) => {
    await side.start('a', { flags: LIMITS });
    const table = await side.ctr.ok('tasks', 'metrics', 'a');
    const json: Record<string, Record<string, unknown>> = JSON.parse(
      await side.ctr.ok('tasks', 'metrics', '--format', 'json', 'a'),
    );
    return {
      names: table.split('\n').map((row) => row.split(/\s+/)[0]),
      limit: /^memory\.usage_limit +(\d+)/m.exec(table)?.[1],
      parts: Object.keys(json).toSorted(),
      pids: json['pids'],
      limitInJson: json['memory']?.['usage_limit'],
      cpu: Number(json['cpu']?.['usage_usec']) > 0,
    };
  },
  (seen) => {
    assert.ok(['pids.current', 'cpu.usage_usec', 'memory.usage'].every((row) => seen.names.includes(row)));
    assert.deepEqual([seen.limit, seen.limitInJson, seen.cpu], ['33554432', 33_554_432, true]);
  },
);

compare(
  'each figure is the one that containerd gives',
  async (side) => {
    const command = ['/bin/sh', '-c', 'dd if=/bin/busybox of=/tmp/a conv=fsync; exec sleep 1000'];
    await side.start('a', { flags: LIMITS, command });
    const pid = await side.pid('a');
    await eventually(async () => (await must('cat', [`/proc/${pid}/cmdline`])).startsWith('sleep'));
    await side.ctr.ok('tasks', 'pause', 'a'); // what is frozen keeps its figures
    await eventually(async () => {
      const told = await metricsOf(side);
      const read = Metrics.decode((await readStats(cgroupPaths(pid))).value);
      assert.deepEqual(known(told), known(read));
      return true;
    });
    const { memory, io, cpu } = await metricsOf(side);
    return [memory?.usageLimit, (io?.usage.length ?? 0) > 0, (cpu?.usageUsec ?? 0n) > 0n];
  },
  (seen) => assert.deepEqual(seen, [33_554_432n, true, true]),
);

/** Without what this containerd does not give yet: pressure, bursts and peaks. */
const known = ({ cpu, memory, io, ...rest }: Metrics): unknown => {
  const without = (part: object | undefined, ...names: readonly string[]): unknown =>
    part && Object.fromEntries(Object.entries(part).filter(([key]) => !['psi', ...names].includes(key)));
  return {
    ...rest,
    cpu: without(cpu, 'nrBursts', 'burstUsec'),
    memory: without(memory, 'maxUsage', 'swapMaxUsage'),
    io: without(io),
  };
};
