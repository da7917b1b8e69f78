import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as v1 from '../../proto/gen/io/containerd/cgroups/v1/cgroups_v1.ts';
import * as v2 from '../../proto/gen/io/containerd/cgroups/v2/cgroups_v2.ts';
import { statsV1 } from '../../shim/cgroup/stats-v1.ts';
import { statsV2 } from '../../shim/cgroup/stats-v2.ts';

const words = (text: string): string[] => text.trim().split(/\s+/);

const MAX = 18_446_744_073_709_551_615n;

const V1_CONTROLLERS = ['hugetlb', 'pids', 'cpu', 'cpuacct', 'memory', 'blkio', 'rdma'];
const V1_MEMORY_KEYS = words(`
  cache rss rss_huge mapped_file dirty writeback pgpgin pgpgout pgfault pgmajfault inactive_anon
  active_anon inactive_file active_file unevictable
`);
const V2_MEMORY_KEYS = words(`
  anon file kernel_stack slab sock shmem file_mapped file_dirty file_writeback anon_thp inactive_anon
  active_anon inactive_file active_file unevictable slab_reclaimable slab_unreclaimable pgfault
  pgmajfault workingset_refault workingset_activate workingset_nodereclaim pgrefill pgscan pgsteal
  pgactivate pgdeactivate pglazyfree pglazyfreed thp_fault_alloc thp_collapse_alloc
`);

/** A directory with these files. */
const fixture = (t: TestContext, files: Readonly<Record<string, string>>): string => {
  const directory = mkdtempSync(join(tmpdir(), 'stats-'));
  t.after(() => rmSync(directory, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
};

/** `key first`, `other first+1`, … */
const pairs = (keys: readonly string[], first: number): string =>
  keys.map((key, index) => `${key} ${first + index}\n`).join('');

/** The same as fields of a message. */
const fields = (names: readonly string[], first: number): Record<string, bigint> =>
  Object.fromEntries(names.map((name, index) => [name, BigInt(first + index)]));

const V1_PAGES = ['pgpgin', 'pgpgout', 'pgfault', 'pgmajfault'];
const V1_PAGE_FIELDS = new Map([
  ...V1_PAGES.map((key, index) => [key, ['pgPgIn', 'pgPgOut', 'pgFault', 'pgMajFault'][index]!] as const),
  ...V1_PAGES.map((key, index) => [`total_${key}`, `totalPg${['PgIn', 'PgOut', 'Fault', 'MajFault'][index]}`] as const),
]);
/** `rss_huge` → `rssHuge`. */
const camel = (key: string): string =>
  V1_PAGE_FIELDS.get(key) ?? key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

const inV1 = (directory: string): ReadonlyMap<string, string> => new Map(V1_CONTROLLERS.map((it) => [it, directory]));

test('v1: every field has its file', async (t) => {
  const totals = V1_MEMORY_KEYS.map((key) => `total_${key}`);
  const files: Record<string, string> = {
    'hugetlb.2MB.usage_in_bytes': '1\n',
    'hugetlb.2MB.max_usage_in_bytes': '2\n',
    'hugetlb.2MB.failcnt': '3\n',
    'hugetlb.2MB.rsvd.usage_in_bytes': '99\n',
    'pids.current': '4\n',
    'pids.max': '5\n',
    'cpuacct.usage': '6\n',
    'cpuacct.stat': 'user 7\nsystem 8\n',
    'cpuacct.usage_percpu': '9 10 \n',
    'cpu.stat': 'nr_periods 11\nnr_throttled 12\nthrottled_time 13\n',
    'memory.stat': pairs([...V1_MEMORY_KEYS, 'hierarchical_memory_limit', 'hierarchical_memsw_limit', ...totals], 100),
    'memory.oom_control': 'oom_kill_disable 1\nunder_oom 2\noom_kill 3\n',
    'rdma.current': 'mlx4_0 hca_handle=2 hca_object=2000\n',
    'rdma.max': 'mlx4_0 hca_handle=3 hca_object=max\n',
  };
  for (const [index, part] of ['', '.memsw', '.kmem', '.kmem.tcp'].entries()) {
    for (const [offset, name] of ['limit_in_bytes', 'usage_in_bytes', 'max_usage_in_bytes', 'failcnt'].entries()) {
      files[`memory${part}.${name}`] = `${200 + 10 * index + offset}\n`;
    }
  }
  const entry = (first: number) => fields(['limit', 'usage', 'max', 'failcnt'], first);
  const memory = fields(
    [...V1_MEMORY_KEYS, 'hierarchical_memory_limit', 'hierarchical_swap_limit', ...totals].map(camel),
    100,
  );
  const expected = v1.Metrics.create({
    hugetlb: [{ pagesize: '2MB', usage: 1n, max: 2n, failcnt: 3n }],
    pids: { current: 4n, limit: 5n },
    cpu: {
      usage: { total: 6n, user: 70_000_000n, kernel: 80_000_000n, perCpu: [9n, 10n] },
      throttling: { periods: 11n, throttledPeriods: 12n, throttledTime: 13n },
    },
    memory: { ...memory, usage: entry(200), swap: entry(210), kernel: entry(220), kernelTcp: entry(230) },
    blkio: {},
    rdma: {
      current: [{ device: 'mlx4_0', hcaHandles: 2, hcaObjects: 2000 }],
      limit: [{ device: 'mlx4_0', hcaHandles: 3, hcaObjects: 4_294_967_295 }],
    },
    memoryOomControl: { oomKillDisable: 1n, underOom: 2n, oomKill: 3n },
  });
  const stats = await statsV1(inV1(fixture(t, files)));
  assert.deepEqual(stats, expected);
  assert.deepEqual(Object.keys(stats.memory!).toSorted(), Object.keys(v1.MemoryStat.create()).toSorted());
});

test('v1: all eight lists of block devices, by device, number and operation', async (t) => {
  const lists = {
    ioServiceBytesRecursive: 'io_service_bytes_recursive',
    ioServicedRecursive: 'io_serviced_recursive',
    ioQueuedRecursive: 'io_queued_recursive',
    ioServiceTimeRecursive: 'io_service_time_recursive',
    ioWaitTimeRecursive: 'io_wait_time_recursive',
    ioMergedRecursive: 'io_merged_recursive',
    ioTimeRecursive: 'time_recursive',
    sectorsRecursive: 'sectors_recursive',
  };
  const files = Object.values(lists).map((name, index) => [
    `blkio.${name}`,
    `999:1 Read ${index + 1}\n999:2 ${index + 11}\nTotal ${index + 1}\n`,
  ]);
  const { blkio } = await statsV1(inV1(fixture(t, Object.fromEntries(files))));
  const expected = Object.keys(lists).map((field, index) => [
    field,
    [
      { op: 'Read', device: '', major: 999n, minor: 1n, value: BigInt(index + 1) },
      { op: '', device: '', major: 999n, minor: 2n, value: BigInt(index + 11) },
    ],
  ]);
  assert.deepEqual(blkio, Object.fromEntries(expected));
});

for (const [kernel, files] of [
  ['without a scheduler that counts', {}],
  ['whose scheduler counts nothing here', { 'blkio.io_serviced_recursive': '' }],
] as const) {
  test(`v1: a kernel ${kernel} gives what has passed the throttle`, async (t) => {
    const throttle = { 'blkio.throttle.io_service_bytes': '999:1 Write 4096\n', 'blkio.throttle.io_serviced': '' };
    const { blkio } = await statsV1(inV1(fixture(t, { ...files, ...throttle })));
    const written = { op: 'Write', device: '', major: 999n, minor: 1n, value: 4096n };
    assert.deepEqual(blkio, v1.BlkIOStat.create({ ioServiceBytesRecursive: [written] }));
  });
}

test('v1: no limit of processes is 0, and a controller that is not there is left out, but for cpu', async (t) => {
  const pids = fixture(t, { 'pids.current': '1\n', 'pids.max': 'max\n' });
  const cpu = { usage: {}, throttling: {} };
  assert.deepEqual(
    await statsV1(new Map([['pids', pids]])),
    v1.Metrics.fromPartial({ pids: { current: 1n, limit: 0n }, cpu }),
  );
});

test('v1: a file that the kernel does not have counts as zero, and the others are read all the same', async (t) => {
  const directory = fixture(t, {
    'memory.stat': 'cache 7\n',
    'memory.kmem.usage_in_bytes': '8\n',
    'pids.current': '9\n',
  });
  const none = { limit: 0n, usage: 0n, max: 0n, failcnt: 0n };
  assert.deepEqual(
    await statsV1(inV1(directory)),
    v1.Metrics.fromPartial({
      pids: { current: 9n, limit: 0n },
      cpu: { usage: {}, throttling: {} },
      memory: { cache: 7n, usage: none, swap: none, kernel: { ...none, usage: 8n }, kernelTcp: none },
      blkio: {},
      rdma: {},
      memoryOomControl: {},
    }),
  );
});

test('v1: a block device has the name that /proc/partitions has for it; one without a size has none', async (t) => {
  const names = new Map(
    rowsOf('/proc/partitions')
      .filter(([major]) => Number(major) > 0)
      .map(([major, minor, , name]) => [`${major}:${minor}`, `/dev/${name}`]),
  );
  const devices = rowsOf('/proc/diskstats').map(([major, minor]) => `${major}:${minor}`);
  assert.ok(devices.some((device) => names.has(device)));
  const files = { 'blkio.throttle.io_serviced': devices.map((device) => `${device} Read 1\n`).join('') };
  const { blkio } = await statsV1(inV1(fixture(t, files)));
  assert.deepEqual(
    blkio?.ioServicedRecursive.map(({ major, minor, device }) => [`${major}:${minor}`, device]),
    devices.map((device) => [device, names.get(device) ?? '']),
  );
});

const rowsOf = (path: string): string[][] => readFileSync(path, 'utf8').trimEnd().split('\n').map(words);

const PRESSURE = `some avg10=0.50 avg60=1.25 avg300=2.00 total=77
full avg10=0.25 avg60=0.50 avg300=1.00 total=33
`;
const PSI: v2.PSIStats = {
  some: { avg10: 0.5, avg60: 1.25, avg300: 2, total: 77n },
  full: { avg10: 0.25, avg60: 0.5, avg300: 1, total: 33n },
};
const V2_CPU_KEYS = words(`
  usage_usec user_usec system_usec nr_periods nr_throttled throttled_usec nr_bursts burst_usec
`);
const V2_EVENTS = ['low', 'high', 'max', 'oom', 'oom_kill', 'oom_group_kill'];

test('v2: every field has its file', async (t) => {
  const directory = fixture(t, {
    'pids.current': '1\n',
    'pids.max': '2\n',
    'cpu.stat': pairs(V2_CPU_KEYS, 10),
    'cpu.pressure': PRESSURE,
    'memory.stat': pairs(V2_MEMORY_KEYS, 100),
    'memory.current': '30\n',
    'memory.max': '31\n',
    'memory.swap.current': '32\n',
    'memory.swap.max': '33\n',
    'memory.peak': '34\n',
    'memory.swap.peak': '35\n',
    'memory.pressure': PRESSURE,
    'memory.events': pairs(V2_EVENTS, 40),
    'rdma.current': 'mlx4_0 hca_handle=2 hca_object=2000\n',
    'rdma.max': 'mlx4_0 hca_handle=max hca_object=2001\n',
    'io.stat': '8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0\n',
    'io.pressure': PRESSURE,
    'hugetlb.2MB.current': '50\n',
    'hugetlb.2MB.max': '51\n',
    'hugetlb.2MB.events': 'max 52\n',
    'hugetlb.2MB.rsvd.current': '99\n',
  });
  const entries = ['usageLimit', 'swapUsage', 'swapLimit', 'maxUsage', 'swapMaxUsage'];
  const stats = await statsV2(directory);
  assert.deepEqual(
    stats,
    v2.Metrics.create({
      pids: { current: 1n, limit: 2n },
      cpu: { ...fields(V2_CPU_KEYS.map(camel), 10), psi: PSI },
      memory: { ...v2Memory(), usage: 30n, ...fields(entries, 31), psi: PSI },
      rdma: {
        current: [{ device: 'mlx4_0', hcaHandles: 2, hcaObjects: 2000 }],
        limit: [{ device: 'mlx4_0', hcaHandles: 4_294_967_295, hcaObjects: 2001 }],
      },
      io: {
        usage: [{ major: 8n, minor: 16n, rbytes: 1_459_200n, wbytes: 314_773_504n, rios: 192n, wios: 353n }],
        psi: PSI,
      },
      hugetlb: [{ pagesize: '2MB', current: 50n, max: 51n, failcnt: 52n }],
      memoryEvents: fields(V2_EVENTS.map(camel), 40),
    }),
  );
  assert.deepEqual(Object.keys(stats.memory!).toSorted(), Object.keys(v2.MemoryStat.create()).toSorted());
});

/** The names of version 2 are alike in the file and in the message. */
const v2Memory = (): Record<string, bigint> =>
  Object.fromEntries(
    V2_MEMORY_KEYS.map((key, index) => [
      key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      BigInt(100 + index),
    ]),
  );

test('v2: "max" is the largest number there is', async (t) => {
  const directory = fixture(t, { 'pids.max': 'max\n', 'memory.max': 'max\n', 'memory.swap.max': 'max\n' });
  const { pids, memory } = await statsV2(directory);
  assert.deepEqual([pids?.limit, memory?.usageLimit, memory?.swapLimit], [MAX, MAX, MAX]);
});

test('v2: since Linux 5.9 the working set is the sum of its anonymous and its file part', async (t) => {
  const keys = ['refault_anon', 'refault_file', 'activate_anon', 'activate_file'].map((key) => `workingset_${key}`);
  const { memory } = await statsV2(fixture(t, { 'memory.stat': pairs(keys, 1) }));
  assert.deepEqual([memory?.workingsetRefault, memory?.workingsetActivate], [3n, 7n]);
});

test('v2: a cgroup without controllers has zeros, and neither events nor pressure', async (t) => {
  const { cpu, memory, memoryEvents, io } = await statsV2(fixture(t, {}));
  assert.deepEqual(
    [cpu, memory, memoryEvents, io],
    [v2.CPUStat.create(), v2.MemoryStat.create(), undefined, v2.IOStat.create()],
  );
});
