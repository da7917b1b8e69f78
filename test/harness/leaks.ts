import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** What belongs to one test file: all its files lie below `dir`, all its cgroups' names begin with `name`. */
export interface Territory {
  readonly dir: string;
  readonly name: string;
}

/** Everything outside the file system's plain files that is left of a territory, one line each; [] when it is clean. */
export const findLeaks = (territory: Territory): string[] => [
  ...processesOf(territory).map((pid) => `process ${pid}: ${commandLine(pid)}`),
  ...mountsOf(territory).map((path) => `mount ${path}`),
  ...cgroupsOf(territory).map((path) => `cgroup ${path}`),
  ...socketsOf(territory).map((path) => `socket ${path}`),
];

/** What a daemon's state directory still holds of tasks: bundles, shims' directories, the runtime's state. */
export const findTaskFiles = (state: string): string[] => [
  ...below(join(state, 'io.containerd.runtime.v2.task'), 2),
  ...below(join(state, 'shims'), 1),
  ...below(join(state, 'runc'), 2),
];

/** Ends and removes what `findLeaks` finds, so that one failed file does not spoil the next. */
export const clearLeaks = async (territory: Territory): Promise<void> => {
  for (let round = 0; round < 20; round += 1) {
    const pids = processesOf(territory);
    for (const pid of pids) kill(pid);
    if (pids.length === 0) break;
    await sleep(50);
  }
  for (const path of mountsOf(territory).toReversed()) spawnSync('umount', ['-l', path]);
  for (const path of cgroupsOf(territory, { parents: true })) {
    try {
      rmdirSync(path);
    } catch {
      // A process in it that could not be killed; findLeaks has told of it.
    }
  }
};

const processesOf = ({ dir, name }: Territory): number[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid > 1 && pid !== process.pid)
    .filter((pid) => {
      const seen = [text(pid, 'cmdline'), text(pid, 'environ'), link(pid, 'cwd'), link(pid, 'exe')];
      return (seen.some((it) => it.includes(dir)) || text(pid, 'cgroup').includes(`/${name}`)) && !isZombie(pid);
    });

const mountsOf = ({ dir, name }: Territory): string[] =>
  readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${dir}/`) || path.includes(`/${name}`));

/**
 * The deepest first. A runtime removes a container's cgroup and not its parents, which are only listed on demand;
 * containerd leaves them too.
 */
const cgroupsOf = ({ name }: Territory, { parents = false } = {}): string[] => {
  const hierarchies = ['/sys/fs/cgroup', ...folders('/sys/fs/cgroup')];
  const tops = hierarchies.flatMap((path) => folders(path).filter((top) => top.includes(`/${name}`)));
  const inside = tops.flatMap((top) => descend(top)).filter((path) => parents || !tops.includes(path));
  return inside.sort((a, b) => b.length - a.length);
};

const descend = (path: string): string[] => [path, ...folders(path).flatMap(descend)];

const folders = (path: string): string[] => {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(path, entry.name));
  } catch {
    return []; // removed meanwhile
  }
};

/** Bound sockets, those in the abstract name space too. */
const socketsOf = ({ dir, name }: Territory): string[] =>
  readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .map((line) => line.slice(line.lastIndexOf(' ') + 1))
    .filter((path) => path.includes(`${dir}/`) || path.includes(`/${name}`));

/** Paths exactly `levels` below `path`. */
const below = (path: string, levels: number): string[] => {
  if (!existsSync(path)) return [];
  const entries = readdirSync(path).map((entry) => join(path, entry));
  return levels === 1 ? entries : entries.flatMap((entry) => below(entry, levels - 1));
};

const text = (pid: number, file: string): string => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // gone meanwhile
  }
};

const link = (pid: number, file: string): string => {
  try {
    return readlinkSync(`/proc/${pid}/${file}`);
  } catch {
    return '';
  }
};

const isZombie = (pid: number): boolean => /\) Z /.test(text(pid, 'stat'));

const commandLine = (pid: number): string => text(pid, 'cmdline').replaceAll('\0', ' ').trim().slice(0, 300);

const kill = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // gone meanwhile
  }
};
