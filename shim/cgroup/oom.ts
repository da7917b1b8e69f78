import { closeSync, constants, existsSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { eventfd, inotify, inotifyAdd, inotifyFlags, Poller, readNow } from '../../native/index.ts';
import { readPairs } from './files.ts';
import { cgroupPaths } from './paths.ts';

/** Room for several inotify events without a name, and for the eight bytes of an eventfd. */
const EVENT_BYTES = 512;

export interface OomWatch {
  /** Looks now: what has happened and was not reported yet is. */
  check(): void;
  close(): void;
}

/**
 * Calls `onOom` when the kernel has killed, for want of memory, in the cgroup that a process is in. undefined: there is
 * no memory controller. NotFound: the process is gone.
 */
export const watchOom = async (pid: number, onOom: () => void): Promise<OomWatch | undefined> => {
  const paths = cgroupPaths(pid);
  if (paths.version === 2) return watchOomV2(paths.directory, onOom);
  const directory = paths.directories.get('memory');
  return directory === undefined ? undefined : watchOomV1(directory, onOom);
};

/** Version 1: an eventfd that the kernel writes to. Source: Documentation/admin-guide/cgroup-v1/memory.rst. */
const watchOomV1 = (directory: string, onOom: () => void): OomWatch => {
  const fd = eventfd();
  try {
    register(directory, fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return watching(fd, (fired) => {
    // The kernel writes once more when the cgroup is removed.
    if (fired && existsSync(join(directory, 'cgroup.event_control'))) onOom();
  });
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

/** Version 2: a counter in a file that says when it changes. undefined: the controller is not enabled there. */
export const watchOomV2 = (directory: string, onOom: () => void): OomWatch | undefined => {
  const count = (): bigint => readPairs(directory, 'memory.events').get('oom_kill') ?? 0n;
  if (!existsSync(join(directory, 'memory.events'))) return undefined;
  const fd = inotify();
  try {
    inotifyAdd(fd, join(directory, 'memory.events'), inotifyFlags.modify);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  let reported = count();
  return watching(fd, () => {
    const now = count();
    const more = now > reported;
    reported = now > reported ? now : reported;
    if (more) onOom();
  });
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
