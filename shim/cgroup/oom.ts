import { closeSync, constants, existsSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { eventfd, inotify, inotifyAdd, inotifyFlags, Poller, readNow } from '../../native/index.ts';
import { childGroups, readPairs } from './files.ts';
import type { CgroupPaths } from './paths.ts';

/** Room for several inotify events without a name, and for the eight bytes of an eventfd. */
const EVENT_BYTES = 512;
/** Pauses between looks for the kill that the kernel has given notice of, ms. At first short: an exit follows it. */
const LOOK_AGAIN_MS = [1, 2, 4, 8, 16, 64, 256, 1_024];
/** As long as the killer is disabled and processes wait for memory, ms. */
const STUCK_LOOK_MS = 1_024;

export interface OomWatch {
  /** Looks now: what has happened and was not reported yet is. */
  check(): void;
  close(): void;
}

/**
 * Calls `onOom` when the kernel has killed, for want of memory, in these cgroups: once for what has happened between
 * two looks. undefined: there is no memory controller.
 */
export const watchOom = async (paths: CgroupPaths, onOom: () => void): Promise<OomWatch | undefined> => {
  if (paths.version === 2) return watchOomV2(paths.directory, onOom);
  const directory = paths.directories.get('memory');
  return directory === undefined ? undefined : watchOomV1(directory, onOom);
};

/**
 * Version 1: an eventfd that the kernel writes to. It does so before it kills, two or more times for one kill, for a
 * kill in another child of a full parent, and when the cgroup is removed; so this only says that it is time to look at
 * the counters. Source: Documentation/admin-guide/cgroup-v1/memory.rst, and measured.
 */
const watchOomV1 = (directory: string, onOom: () => void): OomWatch => {
  let seen = oomState(directory); // before the eventfd: what comes between is not missed
  let looks = 0;
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => {
    const now = oomState(directory);
    const more = isMore(seen, now);
    seen = now;
    const pause = LOOK_AGAIN_MS[looks++] ?? (now.stuck ? STUCK_LOOK_MS : undefined);
    timer = pause === undefined ? undefined : setTimeout(look, pause).unref();
    if (more) onOom();
  };
  const fd = opened(eventfd(), (it) => register(directory, it));
  const watch = watching(fd, (fired) => {
    if (!fired && timer === undefined) return; // the kernel has given no notice
    clearTimeout(timer);
    if (fired) looks = 0;
    look();
  });
  return {
    check: () => watch.check(),
    close: () => {
      clearTimeout(timer);
      watch.close();
    },
  };
};

const register = (directory: string, fd: number): void => {
  const control = openSync(join(directory, 'memory.oom_control'), constants.O_RDONLY);
  try {
    const registration = openSync(join(directory, 'cgroup.event_control'), constants.O_WRONLY);
    try {
      writeSync(registration, `${fd} ${control}`);
    } finally {
      closeSync(registration);
    }
  } finally {
    closeSync(control);
  }
};

export interface OomState {
  /** Processes killed, by cgroup: a counter of version 1 leaves out what happens in the cgroups below. */
  readonly kills: ReadonlyMap<string, bigint>;
  /** Memory has run out, and the kernel may not kill (`oom_kill_disable`). */
  readonly stuck: boolean;
}

/** Of a cgroup of version 1 and all below it; of one that is gone: nothing. */
export const oomState = (directory: string): OomState => {
  const control = readPairs(directory, 'memory.oom_control');
  const kills = new Map([[directory, control.get('oom_kill') ?? 0n]]);
  for (const child of childGroups(directory)) {
    for (const [path, count] of oomState(child).kills) kills.set(path, count);
  }
  return { kills, stuck: control.get('oom_kill_disable') === 1n && control.get('under_oom') === 1n };
};

/** Whether the second state holds an OOM that is not in the first. */
export const isMore = (seen: OomState, now: OomState): boolean =>
  (now.stuck && !seen.stuck) || [...now.kills].some(([path, count]) => count > (seen.kills.get(path) ?? 0n));

/** Version 2: a counter in a file that says when it changes. undefined: the controller is not enabled there. */
export const watchOomV2 = (directory: string, onOom: () => void): OomWatch | undefined => {
  const file = join(directory, 'memory.events');
  if (!existsSync(file)) return undefined;
  const count = (): bigint => readPairs(directory, 'memory.events').get('oom_kill') ?? 0n;
  let reported = count(); // before the watch: what comes between is not missed
  const fd = opened(inotify(), (it) => inotifyAdd(it, file, inotifyFlags.modify));
  return watching(fd, () => {
    const now = count();
    if (now <= reported) return; // 0 too, when the cgroup has been removed
    reported = now;
    onOom();
  });
};

/** A descriptor once it is set up; closed if that fails. */
const opened = (fd: number, setUp: (fd: number) => unknown): number => {
  try {
    setUp(fd);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
};

/** Calls `look` when the descriptor has something to read, and when it is told to; `fired`: it had. */
const watching = (fd: number, look: (fired: boolean) => void): OomWatch => {
  const buffer = Buffer.alloc(EVENT_BYTES);
  let open = true;
  const check = (): void => {
    if (!open) return;
    let fired = false;
    while ((readNow(fd, buffer) ?? 0) > 0) fired = true;
    look(fired);
  };
  const poller = new Poller(fd, { readable: true }, check);
  poller.unref();
  return {
    check,
    close: () => {
      if (!open) return;
      open = false;
      poller.close();
      closeSync(fd);
    },
  };
};
