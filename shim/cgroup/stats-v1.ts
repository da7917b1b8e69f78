import * as v1 from '../../proto/gen/io/containerd/cgroups/v1/cgroups_v1.ts';
import {
  hugePageSizes,
  linesOf,
  numberOf,
  pairsOf,
  readControl,
  readNumber,
  readPairs,
  readRdma,
  readSum,
} from './files.ts';

/** The unit of cpuacct.stat, USER_HZ, is 1/100 s on all architectures that matter, ns. */
const TICK_NS = 10_000_000n;

/** Metrics of cgroups of version 1; `directories` by controller. A controller that is not there leaves its part out. */
export const statsV1 = async (directories: ReadonlyMap<string, string>): Promise<v1.Metrics> => {
  const cpuacct = directories.get('cpuacct');
  const cpu = directories.get('cpu');
  const memory = directories.get('memory');
  const pids = directories.get('pids');
  const blkio = directories.get('blkio');
  const rdma = directories.get('rdma');
  const hugetlb = directories.get('hugetlb');
  return v1.Metrics.create({
    hugetlb: hugetlb === undefined ? [] : hugetlbStats(hugetlb),
    pids: pids === undefined ? undefined : pidsStat(pids),
    cpu: cpuStat(cpu, cpuacct), // always there: clients take it for granted, as containerd's library fills it
    memory: memory === undefined ? undefined : await memoryStat(memory),
    blkio: blkio === undefined ? undefined : blkioStat(blkio),
    rdma:
      rdma === undefined ? undefined : { current: readRdma(rdma, 'rdma.current'), limit: readRdma(rdma, 'rdma.max') },
    memoryOomControl: memory === undefined ? undefined : oomControl(memory),
  });
};

const pidsStat = (directory: string): v1.PidsStat => {
  const limit = readControl(directory, 'pids.max')?.trim();
  // No limit is 0 here, unlike in version 2. Source: containerd's cgroups library.
  return { current: readNumber(directory, 'pids.current'), limit: limit === 'max' ? 0n : numberOf(limit) };
};

const cpuStat = (cpu: string | undefined, cpuacct: string | undefined): v1.CPUStat => {
  const stat = cpuacct === undefined ? new Map<string, bigint>() : readPairs(cpuacct, 'cpuacct.stat');
  const throttling = cpu === undefined ? new Map<string, bigint>() : readPairs(cpu, 'cpu.stat');
  const perCpu = cpuacct === undefined ? undefined : readControl(cpuacct, 'cpuacct.usage_percpu');
  return {
    usage: {
      total: cpuacct === undefined ? 0n : readNumber(cpuacct, 'cpuacct.usage'),
      kernel: (stat.get('system') ?? 0n) * TICK_NS,
      user: (stat.get('user') ?? 0n) * TICK_NS,
      perCpu: (perCpu ?? '').split(/\s+/).filter(Boolean).map(numberOf),
    },
    throttling: {
      periods: throttling.get('nr_periods') ?? 0n,
      throttledPeriods: throttling.get('nr_throttled') ?? 0n,
      throttledTime: throttling.get('throttled_time') ?? 0n,
    },
  };
};

const memoryStat = async (directory: string): Promise<v1.MemoryStat> => {
  const stat = pairsOf(await readSum(directory, 'memory.stat'));
  const of = (key: string): bigint => stat.get(key) ?? 0n;
  const entry = (part: string): v1.MemoryEntry => ({
    limit: readNumber(directory, `memory${part}.limit_in_bytes`),
    usage: readNumber(directory, `memory${part}.usage_in_bytes`),
    max: readNumber(directory, `memory${part}.max_usage_in_bytes`),
    failcnt: readNumber(directory, `memory${part}.failcnt`),
  });
  return {
    cache: of('cache'),
    rss: of('rss'),
    rssHuge: of('rss_huge'),
    mappedFile: of('mapped_file'),
    dirty: of('dirty'),
    writeback: of('writeback'),
    pgPgIn: of('pgpgin'),
    pgPgOut: of('pgpgout'),
    pgFault: of('pgfault'),
    pgMajFault: of('pgmajfault'),
    inactiveAnon: of('inactive_anon'),
    activeAnon: of('active_anon'),
    inactiveFile: of('inactive_file'),
    activeFile: of('active_file'),
    unevictable: of('unevictable'),
    hierarchicalMemoryLimit: of('hierarchical_memory_limit'),
    hierarchicalSwapLimit: of('hierarchical_memsw_limit'),
    totalCache: of('total_cache'),
    totalRss: of('total_rss'),
    totalRssHuge: of('total_rss_huge'),
    totalMappedFile: of('total_mapped_file'),
    totalDirty: of('total_dirty'),
    totalWriteback: of('total_writeback'),
    totalPgPgIn: of('total_pgpgin'),
    totalPgPgOut: of('total_pgpgout'),
    totalPgFault: of('total_pgfault'),
    totalPgMajFault: of('total_pgmajfault'),
    totalInactiveAnon: of('total_inactive_anon'),
    totalActiveAnon: of('total_active_anon'),
    totalInactiveFile: of('total_inactive_file'),
    totalActiveFile: of('total_active_file'),
    totalUnevictable: of('total_unevictable'),
    usage: entry(''),
    swap: entry('.memsw'),
    kernel: entry('.kmem'),
    kernelTcp: entry('.kmem.tcp'),
  };
};

const oomControl = (directory: string): v1.MemoryOomControl => {
  const control = readPairs(directory, 'memory.oom_control');
  return {
    oomKillDisable: control.get('oom_kill_disable') ?? 0n,
    underOom: control.get('under_oom') ?? 0n,
    oomKill: control.get('oom_kill') ?? 0n,
  };
};

const hugetlbStats = (directory: string): v1.HugetlbStat[] =>
  hugePageSizes(directory, 'usage_in_bytes').map((pagesize) => ({
    usage: readNumber(directory, `hugetlb.${pagesize}.usage_in_bytes`),
    max: readNumber(directory, `hugetlb.${pagesize}.max_usage_in_bytes`),
    failcnt: readNumber(directory, `hugetlb.${pagesize}.failcnt`),
    pagesize,
  }));

const blkioStat = (directory: string): v1.BlkIOStat => {
  const devices = deviceNames();
  const entries = (name: string): v1.BlkIOEntry[] => blkioEntries(readControl(directory, `blkio.${name}`), devices);
  const scheduled: v1.BlkIOStat = {
    ioServiceBytesRecursive: entries('io_service_bytes_recursive'),
    ioServicedRecursive: entries('io_serviced_recursive'),
    ioQueuedRecursive: entries('io_queued_recursive'),
    ioServiceTimeRecursive: entries('io_service_time_recursive'),
    ioWaitTimeRecursive: entries('io_wait_time_recursive'),
    ioMergedRecursive: entries('io_merged_recursive'),
    ioTimeRecursive: entries('time_recursive'),
    sectorsRecursive: entries('sectors_recursive'),
  };
  if (Object.values(scheduled).some((list) => list.length > 0)) return scheduled;
  // No CFQ scheduler in this kernel, or none on the devices in use: what passes the throttle is counted everywhere.
  return {
    ...scheduled,
    ioServiceBytesRecursive: entries('throttle.io_service_bytes'),
    ioServicedRecursive: entries('throttle.io_serviced'),
  };
};

/** `8:0 Read 4096`, or `8:0 4096` where there is one kind only; the sum over all devices is left out. */
const blkioEntries = (text: string | undefined, devices: ReadonlyMap<string, string>): v1.BlkIOEntry[] =>
  linesOf(text).flatMap((line) => {
    const [, major, minor, op, value] = /^(\d+):(\d+)\s+(?:([A-Za-z]+)\s+)?(\d+)$/.exec(line) ?? [];
    if (major === undefined || minor === undefined) return [];
    const device = devices.get(`${major}:${minor}`) ?? '';
    return [{ op: op ?? '', device, major: BigInt(major), minor: BigInt(minor), value: numberOf(value) }];
  });

/**
 * `8:0` → `/dev/sda`. What has no size, such as a loop device without its file, has no name here, as for containerd; and
 * unlike in diskstats nothing is added up over all processors. Source: containerd's cgroups library.
 */
const deviceNames = (): Map<string, string> =>
  new Map(
    linesOf(readControl('/proc', 'partitions')).flatMap((line) => {
      const [, major, minor, name] = /^\s*(\d+)\s+(\d+)\s+\d+\s+(\S+)$/.exec(line) ?? [];
      return name === undefined ? [] : [[`${major}:${minor}`, `/dev/${name}`] as const];
    }),
  );
