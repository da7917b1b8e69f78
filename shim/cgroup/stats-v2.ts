import * as v2 from '../../proto/gen/io/containerd/cgroups/v2/cgroups_v2.ts';
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

/** Metrics of a cgroup of version 2. */
export const statsV2 = async (directory: string): Promise<v2.Metrics> =>
  v2.Metrics.create({
    pids: { current: readNumber(directory, 'pids.current'), limit: readNumber(directory, 'pids.max') },
    cpu: await cpuStat(directory),
    memory: await memoryStat(directory),
    rdma: { current: readRdma(directory, 'rdma.current'), limit: readRdma(directory, 'rdma.max') },
    io: { usage: ioEntries(await readSum(directory, 'io.stat')), psi: pressure(directory, 'io.pressure') },
    hugetlb: hugetlbStats(directory),
    memoryEvents: memoryEvents(directory),
  });

const cpuStat = async (directory: string): Promise<v2.CPUStat> => {
  const stat = pairsOf(await readSum(directory, 'cpu.stat'));
  const of = (key: string): bigint => stat.get(key) ?? 0n;
  return {
    usageUsec: of('usage_usec'),
    userUsec: of('user_usec'),
    systemUsec: of('system_usec'),
    nrPeriods: of('nr_periods'),
    nrThrottled: of('nr_throttled'),
    throttledUsec: of('throttled_usec'),
    nrBursts: of('nr_bursts'),
    burstUsec: of('burst_usec'),
    psi: pressure(directory, 'cpu.pressure'),
  };
};

const memoryStat = async (directory: string): Promise<v2.MemoryStat> => {
  const stat = pairsOf(await readSum(directory, 'memory.stat'));
  const of = (key: string): bigint => stat.get(key) ?? 0n;
  return {
    anon: of('anon'),
    file: of('file'),
    kernelStack: of('kernel_stack'),
    slab: of('slab'),
    sock: of('sock'),
    shmem: of('shmem'),
    fileMapped: of('file_mapped'),
    fileDirty: of('file_dirty'),
    fileWriteback: of('file_writeback'),
    anonThp: of('anon_thp'),
    inactiveAnon: of('inactive_anon'),
    activeAnon: of('active_anon'),
    inactiveFile: of('inactive_file'),
    activeFile: of('active_file'),
    unevictable: of('unevictable'),
    slabReclaimable: of('slab_reclaimable'),
    slabUnreclaimable: of('slab_unreclaimable'),
    pgfault: of('pgfault'),
    pgmajfault: of('pgmajfault'),
    // Split into _anon and _file since Linux 5.9.
    workingsetRefault: of('workingset_refault') + of('workingset_refault_anon') + of('workingset_refault_file'),
    workingsetActivate: of('workingset_activate') + of('workingset_activate_anon') + of('workingset_activate_file'),
    workingsetNodereclaim: of('workingset_nodereclaim'),
    pgrefill: of('pgrefill'),
    pgscan: of('pgscan'),
    pgsteal: of('pgsteal'),
    pgactivate: of('pgactivate'),
    pgdeactivate: of('pgdeactivate'),
    pglazyfree: of('pglazyfree'),
    pglazyfreed: of('pglazyfreed'),
    thpFaultAlloc: of('thp_fault_alloc'),
    thpCollapseAlloc: of('thp_collapse_alloc'),
    usage: readNumber(directory, 'memory.current'),
    usageLimit: readNumber(directory, 'memory.max'),
    swapUsage: readNumber(directory, 'memory.swap.current'),
    swapLimit: readNumber(directory, 'memory.swap.max'),
    maxUsage: readNumber(directory, 'memory.peak'),
    swapMaxUsage: readNumber(directory, 'memory.swap.peak'),
    psi: pressure(directory, 'memory.pressure'),
  };
};

const memoryEvents = (directory: string): v2.MemoryEvents | undefined => {
  const events = readPairs(directory, 'memory.events');
  if (events.size === 0) return undefined;
  const of = (key: string): bigint => events.get(key) ?? 0n;
  return {
    low: of('low'),
    high: of('high'),
    max: of('max'),
    oom: of('oom'),
    oomKill: of('oom_kill'),
    oomGroupKill: of('oom_group_kill'),
  };
};

const hugetlbStats = (directory: string): v2.HugeTlbStat[] =>
  hugePageSizes(directory, 'current').map((pagesize) => ({
    current: readNumber(directory, `hugetlb.${pagesize}.current`),
    max: readNumber(directory, `hugetlb.${pagesize}.max`),
    pagesize,
    failcnt: readPairs(directory, `hugetlb.${pagesize}.events`).get('max') ?? 0n,
  }));

/** `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …`. */
const ioEntries = (text: string | undefined): v2.IOEntry[] =>
  linesOf(text).flatMap((line) => {
    const [device = '', ...pairs] = line.split(' ');
    const [, major, minor] = /^(\d+):(\d+)$/.exec(device) ?? [];
    if (major === undefined || minor === undefined) return [];
    const values = new Map(pairs.map((pair) => pair.split('=', 2) as [string, string]));
    const of = (key: string): bigint => numberOf(values.get(key));
    const counts = { rbytes: of('rbytes'), wbytes: of('wbytes'), rios: of('rios'), wios: of('wios') };
    return [{ major: BigInt(major), minor: BigInt(minor), ...counts }];
  });

/** `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`; undefined where the kernel keeps no pressure. */
const pressure = (directory: string, name: string): v2.PSIStats | undefined => {
  const lines = linesOf(readControl(directory, name));
  if (lines.length === 0) return undefined;
  const kind = (word: string): v2.PSIData | undefined => {
    const line = lines.find((one) => one.startsWith(`${word} `));
    if (line === undefined) return undefined;
    const values = new Map(line.split(' ').map((pair) => pair.split('=', 2) as [string, string]));
    const average = (key: string): number => Number(values.get(key) ?? 0);
    const total = numberOf(values.get('total'));
    return { avg10: average('avg10'), avg60: average('avg60'), avg300: average('avg300'), total };
  };
  return { some: kind('some'), full: kind('full') };
};
