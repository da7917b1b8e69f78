import { existsSync, readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { about, invalidArgument, notFound } from '../../common/errdefs.ts';

const CGROUP_ROOT = '/sys/fs/cgroup';
/** f_type of a cgroup v2 file system. Source: statfs(2). */
const CGROUP2_SUPER_MAGIC = 0x63677270;
/** PF_EXITING in the flags of a thread. Source: include/linux/sched.h of the kernel. */
const PF_EXITING = 0x4;

/** Where a process's cgroups are, as directories. */
export type CgroupPaths =
  | { readonly version: 2; readonly directory: string }
  /** By controller (`memory`, `cpuacct`, …); several may share a directory. */
  | { readonly version: 1; readonly directories: ReadonlyMap<string, string> };

/** Fails with NotFound if a cgroup has been removed. */
export const requireCgroups = (paths: CgroupPaths): void => {
  const directories = paths.version === 2 ? [paths.directory] : [...paths.directories.values()];
  if (!directories.every((directory) => existsSync(directory))) throw gone();
};

/** As the ledger keeps it. */
export type CgroupDocument = { readonly version: number; readonly directories: Readonly<Record<string, string>> };

export const toDocument = (paths: CgroupPaths): CgroupDocument =>
  paths.version === 2
    ? { version: 2, directories: { '': paths.directory } }
    : { version: 1, directories: Object.fromEntries(paths.directories) };

export const fromDocument = ({ version, directories }: CgroupDocument): CgroupPaths =>
  version === 2
    ? { version: 2, directory: directories[''] ?? CGROUP_ROOT }
    : { version: 1, directories: new Map(Object.entries(directories)) };

/** The cgroups of a process. NotFound: it has ended. */
export const cgroupPaths = (pid: number): CgroupPaths =>
  locate(membershipsOf(pid), { mountinfo: readFileSync('/proc/self/mountinfo', 'utf8'), unified: isUnified() });

/** What runtimes look at decides the version: what is mounted on /sys/fs/cgroup. */
const isUnified = (): boolean => statfsSync(CGROUP_ROOT).type === CGROUP2_SUPER_MAGIC;

/**
 * Directories out of the texts of a /proc/PID/cgroup and a mountinfo. Unless the host is `unified`, a tree of version 2
 * beside controllers of version 1 (hybrid) does not count: runtimes put no limits there. NotFound: not in any.
 */
export const locate = (
  memberships: string,
  host: { readonly mountinfo: string; readonly unified: boolean },
): CgroupPaths => {
  const paths = parseMemberships(memberships);
  if (host.unified) {
    const path = paths.get('');
    if (path === undefined) throw gone();
    return { version: 2, directory: join(CGROUP_ROOT, path) };
  }
  const mounts = parseMounts(host.mountinfo);
  const directories = new Map<string, string>();
  for (const [controller, path] of paths) {
    const mount = mounts.get(controller);
    if (mount !== undefined) directories.set(controller, join(mount.point, below(mount.root, path)));
  }
  if (directories.size === 0) throw gone();
  return { version: 1, directories };
};

/**
 * Puts a process into a cgroup that exists, in version 1 in each hierarchy that has it, and makes none, as containerd:
 * it would have no limits, and nobody would remove it. NotFound: no hierarchy has it.
 */
export const joinCgroup = async (pid: number, path: string): Promise<void> => {
  if (path.split('/').includes('..')) throw invalidArgument(`cgroup path ${JSON.stringify(path)}`);
  const mounts = isUnified()
    ? [CGROUP_ROOT]
    : [...parseMounts(readFileSync('/proc/self/mountinfo', 'utf8')).values()].map(({ point }) => point);
  const directories = [...new Set(mounts)]
    .map((mount) => join(mount, path))
    .filter((directory) => existsSync(directory));
  if (directories.length === 0) throw notFound(`failed to load cgroup ${path}: cgroup deleted`);
  for (const directory of directories) {
    try {
      writeFileSync(join(directory, 'cgroup.procs'), String(pid), { flag: 'r+' }); // never makes a file
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

/**
 * The cgroups of a process as one of its threads shows them that is not exiting: of one that is, version 1 says that it
 * is at the root of every hierarchy, and the whole machine would be taken for the container.
 */
const membershipsOf = (pid: number): string => {
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const text = readThread(pid, thread, 'cgroup');
      const stat = readThread(pid, thread, 'stat'); // after it: what was not exiting then was not before
      if (text !== undefined && stat !== undefined && !isExiting(stat)) return text;
    }
  } catch (error) {
    throw gone(error);
  }
  throw gone();
};

/** undefined: the thread has ended meanwhile. */
const readThread = (pid: number, thread: string, name: string): string | undefined => {
  try {
    return readFileSync(`/proc/${pid}/task/${thread}/${name}`, 'utf8');
  } catch {
    return undefined;
  }
};

/** Out of a /proc/PID/stat, whose second field may hold spaces and parentheses. Source: proc_pid_stat(5), field 9. */
export const isExiting = (stat: string): boolean => {
  const flags = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[6];
  return (Number(flags) & PF_EXITING) !== 0;
};

const gone = (cause?: unknown): Error => notFound('cgroup does not exist', undefined, { cause });
