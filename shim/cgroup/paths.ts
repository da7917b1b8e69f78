import { existsSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { about, notFound } from '../../common/errdefs.ts';

const CGROUP_ROOT = '/sys/fs/cgroup';
/** f_type of a cgroup v2 file system. Source: statfs(2). */
const CGROUP2_SUPER_MAGIC = 0x63677270;

/** Where a process's cgroups are, as directories. */
export type CgroupPaths =
  | { readonly version: 2; readonly directory: string }
  /** By controller (`memory`, `cpuacct`, …); several may share a directory. */
  | { readonly version: 1; readonly directories: ReadonlyMap<string, string> };

/**
 * The cgroups of a process. What runtimes look at decides the version: what is mounted on /sys/fs/cgroup. A tree of
 * version 2 beside controllers of version 1 (hybrid) counts as version 1. NotFound: the process is gone.
 */
export const cgroupPaths = (pid: number): CgroupPaths => {
  const memberships = parseMemberships(membershipsOf(pid));
  if (isUnified()) {
    const path = memberships.get('');
    if (path === undefined) throw notFound('cgroup does not exist');
    return { version: 2, directory: join(CGROUP_ROOT, path) };
  }
  const mounts = parseMounts(readFileSync('/proc/self/mountinfo', 'utf8'));
  const directories = new Map<string, string>();
  for (const [controller, path] of memberships) {
    const mount = controller === '' ? undefined : mounts.get(controller);
    if (mount !== undefined) directories.set(controller, join(mount.point, below(mount.root, path)));
  }
  return { version: 1, directories };
};

export const isUnified = (): boolean => statfsSync(CGROUP_ROOT).type === CGROUP2_SUPER_MAGIC;

/** Puts a process into a cgroup that exists: in version 1 in each hierarchy that has it. NotFound: none has. */
export const joinCgroup = async (pid: number, path: string): Promise<void> => {
  const mounts = isUnified()
    ? [CGROUP_ROOT]
    : [...parseMounts(readFileSync('/proc/self/mountinfo', 'utf8')).values()].map(({ point }) => point);
  const directories = [...new Set(mounts)]
    .map((mount) => join(mount, path))
    .filter((directory) => existsSync(directory));
  if (directories.length === 0) throw notFound(`failed to load cgroup ${path}: cgroup deleted`);
  for (const directory of directories) {
    try {
      writeFileSync(join(directory, 'cgroup.procs'), String(pid));
    } catch (error) {
      throw about(`failed to join cgroup ${path}`, error);
    }
  }
};

/** Controller → path, out of /proc/PID/cgroup; version 2 is the controller `''`. Source: cgroups(7). */
export const parseMemberships = (text: string): Map<string, string> => {
  const memberships = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(',')) memberships.set(controller, path);
  }
  return memberships;
};

export interface CgroupMount {
  readonly point: string;
  /** The cgroup that is visible there. */
  readonly root: string;
}

/** Controller of version 1 → where it is mounted, out of a mountinfo. Source: proc_pid_mountinfo(5). */
export const parseMounts = (text: string): Map<string, CgroupMount> => {
  const mounts = new Map<string, CgroupMount>();
  for (const line of text.split('\n')) {
    const [head = '', tail = ''] = line.split(' - ');
    const [, , , root, point] = head.split(' ');
    const [type, , options = ''] = tail.split(' ');
    if (type !== 'cgroup' || root === undefined || point === undefined) continue;
    for (const option of options.split(',')) {
      if (!mounts.has(option)) mounts.set(option, { point: unescape(point), root: unescape(root) });
    }
  }
  return mounts;
};

/** `\040` is a space. */
const unescape = (text: string): string =>
  text.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** A path as seen from a mount that shows only what is below `root`. */
const below = (root: string, path: string): string =>
  root !== '/' && (path === root || path.startsWith(`${root}/`)) ? path.slice(root.length) : path;

const membershipsOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8');
  } catch (error) {
    throw notFound('cgroup does not exist', undefined, { cause: error });
  }
};
