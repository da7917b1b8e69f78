import { existsSync } from 'node:fs';
import { invalidArgument } from '../../common/errdefs.ts';
import { capabilitySets, DEFAULT_PATH, defaultSpec } from './defaults.ts';
import { allCapabilities, hostDevices } from './privileged.ts';
import type { LinuxResources, MountSpec, Spec, UserSpec } from './runtime-spec.ts';

/** Microseconds over which a CPU limit is measured. Source: the kernel's and Docker's default. */
const CPU_PERIOD_MICROSECONDS = 100_000;

/** Longest host name, bytes. Source: sethostname(2). */
const HOSTNAME_BYTES_MAX = 64;

export interface SpecOptions {
  readonly namespace: string;
  readonly id: string;
  /** Absolute path of a directory that is no symbolic link (runc refuses one). */
  readonly rootfs: string;
  /** The program and its arguments. */
  readonly args: readonly string[];
  /** Added to PATH, HOSTNAME and, with a terminal, TERM; a later value for a name wins. */
  readonly env?: ReadonlyMap<string, string>;
  /** Absolute; default `/`. */
  readonly cwd?: string;
  /** Default: root. Names are resolved by `findUser`. */
  readonly user?: UserSpec;
  /** Added behind the default ones. */
  readonly mounts?: readonly MountSpec[];
  /** Default: the id. */
  readonly hostname?: string;
  readonly terminal?: boolean;
  /** Characters; for the terminal's first moment. */
  readonly consoleSize?: { readonly columns: number; readonly rows: number };
  /** Bytes. */
  readonly memoryBytes?: number;
  /** CPUs' worth of time: 0.5 is half of one. */
  readonly cpus?: number;
  readonly pidsMax?: number;
  /** All capabilities and devices of the host, nothing masked or read-only. No isolation from its own misdeeds. */
  readonly privileged?: boolean;
  /** The root file system cannot be written. */
  readonly readonlyRootfs?: boolean;
  /** `none` (default): a network namespace of its own with a loopback device, down. `host`: the host's. */
  readonly network?: 'none' | 'host';
  /** `private` (default) or the host's processes. */
  readonly pid?: 'private' | 'host';
  readonly annotations?: ReadonlyMap<string, string>;
}

/** Makes an OCI runtime specification. Reads /proc and /dev for `privileged`: on the daemon's machine. */
export const createSpec = (options: SpecOptions): Spec => {
  if (options.args.length === 0 || options.args[0] === '') throw invalidArgument('a container needs a command');
  if (!options.rootfs.startsWith('/')) throw invalidArgument(`rootfs ${options.rootfs} is not an absolute path`);
  if (options.cwd?.startsWith('/') === false) throw invalidArgument(`cwd ${options.cwd} is not an absolute path`);
  const hostname = options.hostname ?? options.id.slice(0, HOSTNAME_BYTES_MAX);
  if (Buffer.byteLength(hostname) > HOSTNAME_BYTES_MAX) {
    throw invalidArgument(`hostname ${hostname} is longer than ${HOSTNAME_BYTES_MAX} bytes`);
  }
  const spec = defaultSpec({ ...options, cgroupNamespace: existsSync('/sys/fs/cgroup/cgroup.controllers') });
  spec.hostname = hostname;
  spec.process.env = environment(options, hostname);
  if (options.cwd !== undefined) spec.process.cwd = options.cwd;
  if (options.user !== undefined) spec.process.user = options.user;
  if (options.terminal === true) {
    spec.process.terminal = true;
    const { columns, rows } = options.consoleSize ?? { columns: 0, rows: 0 };
    if (columns > 0 && rows > 0) spec.process.consoleSize = { width: columns, height: rows };
  }
  if (options.readonlyRootfs === true) spec.root.readonly = true;
  spec.linux.resources = { ...spec.linux.resources, ...limits(options) };
  if (options.network === 'host') shareNetwork(spec);
  if (options.pid === 'host') dropNamespace(spec, 'pid');
  if (options.privileged === true) liftRestrictions(spec);
  spec.mounts.push(...(options.mounts ?? []));
  if (options.annotations !== undefined) spec.annotations = Object.fromEntries(options.annotations);
  return spec;
};

type WholeSpec = ReturnType<typeof defaultSpec>;

const environment = (options: SpecOptions, hostname: string): string[] => {
  const variables = new Map([
    ['PATH', DEFAULT_PATH],
    ['HOSTNAME', hostname],
  ]);
  if (options.terminal === true) variables.set('TERM', 'xterm');
  for (const [name, value] of options.env ?? []) variables.set(name, value);
  return [...variables].map(([name, value]) => `${name}=${value}`);
};

const limits = ({ memoryBytes, cpus, pidsMax }: SpecOptions): LinuxResources => ({
  ...(memoryBytes === undefined ? {} : { memory: { limit: memoryBytes } }),
  ...(cpus === undefined
    ? {}
    : { cpu: { quota: Math.round(cpus * CPU_PERIOD_MICROSECONDS), period: CPU_PERIOD_MICROSECONDS } }),
  ...(pidsMax === undefined ? {} : { pids: { limit: pidsMax } }),
});

const dropNamespace = (spec: WholeSpec, type: string): void => {
  spec.linux.namespaces = spec.linux.namespaces?.filter((namespace) => namespace.type !== type) ?? [];
};

/** Names are looked up on the host's network, so by the host's rules. */
const shareNetwork = (spec: WholeSpec): void => {
  dropNamespace(spec, 'network');
  for (const file of ['/etc/hosts', '/etc/resolv.conf']) {
    if (existsSync(file)) spec.mounts.push({ destination: file, type: 'bind', source: file, options: ['rbind', 'ro'] });
  }
};

const liftRestrictions = (spec: WholeSpec): void => {
  spec.process.capabilities = capabilitySets(allCapabilities());
  spec.process.noNewPrivileges = false;
  spec.linux.maskedPaths = [];
  spec.linux.readonlyPaths = [];
  spec.linux.devices = hostDevices();
  spec.linux.resources = { ...spec.linux.resources, devices: [{ allow: true, access: 'rwm' }] };
  for (const mount of spec.mounts) {
    if (mount.type === 'sysfs') mount.options = mount.options?.filter((option) => option !== 'ro') ?? [];
  }
};
