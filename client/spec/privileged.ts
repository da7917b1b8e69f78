import { lstatSync, readdirSync, readFileSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import type { DeviceSpec } from './runtime-spec.ts';

/** Capabilities in the order of their bits. Source: linux/capability.h. */
const CAPABILITIES: readonly string[] = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE ' +
  'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT ' +
  'SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP ' +
  'MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
)
  .split(' ')
  .map((name) => `CAP_${name}`);

/** All capabilities that this process could give to another: the kernel refuses those outside of its bounding set. */
export const allCapabilities = (): string[] => {
  const mask = /^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  const bits = BigInt(`0x${mask ?? '0'}`);
  return CAPABILITIES.filter((_, bit) => (bits & (1n << BigInt(bit))) !== 0n);
};

/** Below /dev, what a container has its own of, and what is no device of the machine. */
const PASSED_OVER: ReadonlySet<string> = new Set(['pts', 'shm', 'fd', 'mqueue', 'console', '.lxc', '.lxd-mounts']);

/** All device nodes of this machine. */
export const hostDevices = (folder = '/dev'): DeviceSpec[] =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (PASSED_OVER.has(name)) return [];
    const stats = lstatSync(path, { throwIfNoEntry: false }); // nodes come and go
    if (stats?.isDirectory() === true) return hostDevices(path);
    return stats === undefined ? [] : deviceOf(path, stats);
  });

const deviceOf = (path: string, stats: Stats): DeviceSpec[] => {
  const type = stats.isCharacterDevice() ? 'c' : stats.isBlockDevice() ? 'b' : undefined;
  if (type === undefined) return [];
  const { mode, uid, gid, rdev } = stats;
  return [{ path, type, major: majorOf(rdev), minor: minorOf(rdev), fileMode: mode & 0o777, uid, gid }];
};

/** A device number has 12 bits of major around 20 bits of minor, as long as both are below 2^32. Source: makedev(3). */
const majorOf = (device: number): number => (device >>> 8) & 0xfff;
const minorOf = (device: number): number => (device & 0xff) | ((device >>> 12) & 0xfff00);
