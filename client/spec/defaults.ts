import type { CapabilitiesSpec, LinuxResources, MountSpec, Spec } from './runtime-spec.ts';

/** What a container may do that was asked for nothing more. Source: the defaults of `ctr run`, which are Docker's. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * A specification that runs `args` as root with its own pid, ipc, uts, mount and network namespaces, and with nothing
 * of the host but the root file system. `cgroupNamespace`: on a host whose cgroups are version 2.
 */
export const defaultSpec = (options: {
  readonly namespace: string;
  readonly id: string;
  readonly rootfs: string;
  readonly args: readonly string[];
  readonly cgroupNamespace: boolean;
}): Spec & Required<Pick<Spec, 'process' | 'root' | 'mounts' | 'linux'>> => ({
  ociVersion: '1.0.2',
  process: {
    user: { uid: 0, gid: 0, additionalGids: [0] },
    args: [...options.args],
    env: [`PATH=${DEFAULT_PATH}`],
    cwd: '/',
    capabilities: capabilitySets(DEFAULT_CAPABILITIES),
    rlimits: [{ type: 'RLIMIT_NOFILE', soft: 1024, hard: 1024 }],
    noNewPrivileges: true,
  },
  root: { path: options.rootfs },
  mounts: defaultMounts(),
  linux: {
    namespaces: [
      { type: 'pid' },
      { type: 'ipc' },
      { type: 'uts' },
      { type: 'mount' },
      { type: 'network' },
      ...(options.cgroupNamespace ? [{ type: 'cgroup' }] : []),
    ],
    resources: { devices: deviceRules() },
    cgroupsPath: `/${options.namespace}/${options.id}`,
    maskedPaths: [...MASKED_PATHS],
    readonlyPaths: [...READONLY_PATHS],
  },
});

/** Inheritable stays empty: a file's inheritable capabilities would otherwise reach any user (CVE-2022-24769). */
export const capabilitySets = (names: readonly string[]): CapabilitiesSpec => ({
  bounding: [...names],
  effective: [...names],
  permitted: [...names],
  inheritable: [],
});

const defaultMounts = (): MountSpec[] => [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
  },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
  {
    destination: '/run',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
];

/** Parts of /proc and /sys that tell too much about the host, or act on it. */
const MASKED_PATHS: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];

const READONLY_PATHS: readonly string[] = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** Character devices that every container has: major, minor. A minor of undefined: all. */
const DEVICES: readonly (readonly [number, number | undefined])[] = [
  [1, 3], // null
  [1, 5], // zero
  [1, 7], // full
  [1, 8], // random
  [1, 9], // urandom
  [5, 0], // tty
  [5, 1], // console
  [5, 2], // ptmx
  [136, undefined], // pts
];

const deviceRules = (): NonNullable<LinuxResources['devices']> => [
  { allow: false, access: 'rwm' },
  ...DEVICES.map(([major, minor]) => ({
    allow: true,
    type: 'c' as const,
    major,
    ...(minor === undefined ? {} : { minor }),
    access: 'rwm',
  })),
];
