// System calls that Node has not, and the only file that loads the addon (src/*.cc). Every call fails with an
// ErrnoError; a wrong argument is InvalidArgument and never reaches the kernel. Descriptors are plain numbers, close on
// exec, and closed with fs.closeSync. What would have to wait is `undefined`; what may hang is a promise and runs in
// libuv's thread pool.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { errnoError } from './errno.ts';
import { lockOperations, pollFlags, resolveFlags, resources, socketTypes, unmountFlags, waitTypes } from './flags.ts';
import type { Raw } from './raw.ts';

export { ErrnoError } from './errno.ts';
export { inotifyFlags, mountFlags, pollFlags } from './flags.ts';

/** Beside a bundle, or where node-gyp builds it; HOLDFAST_NATIVE names another build, such as the sanitizers'. */
const load = (): Raw => {
  const places = [join(import.meta.dirname, 'holdfast.node'), join(import.meta.dirname, 'build/Release/holdfast.node')];
  const path = process.env['HOLDFAST_NATIVE'] ?? places.find((place) => existsSync(place));
  if (path === undefined) throw new Error(`the addon is not built: no ${places.join(' and no ')}`);
  const raw = createRequire(import.meta.url)(path) as Raw; // what the addon exports is written down in raw.ts
  raw.setErrorFactory(errnoError);
  return raw;
};

const raw = load();

// Processes

/** How a process ended: with an exit code (0–255), or by a signal. */
export type ProcessExit = { readonly code: number } | { readonly signal: number; readonly dumped: boolean };

/** The one number that shells and containerd make of it: the code, or 128 and the signal. */
export const exitStatus = (exit: ProcessExit): number => ('code' in exit ? exit.code : 128 + exit.signal);

/** Whether orphans below this process become its children. Survives an exec, not a fork. */
export const setSubreaper = (on: boolean): void => raw.setSubreaper(on);

export const isSubreaper = (): boolean => raw.isSubreaper();

/** The signal that this process gets when the thread that made it ends; 0: none. */
export const setParentDeathSignal = (signal: number): void => raw.setParentDeathSignal(signal);

export type Resource = keyof typeof resources;

/** Units as in getrlimit(2); no limit is 2n ** 64n - 1n. */
export interface ResourceLimit {
  readonly soft: bigint;
  readonly hard: bigint;
}

export const getResourceLimit = (name: Resource): ResourceLimit => {
  const [soft, hard] = raw.getResourceLimit(resources[name]);
  return { soft, hard };
};

export const setResourceLimit = (name: Resource, limit: ResourceLimit): void =>
  raw.setResourceLimit(resources[name], limit.soft, limit.hard);

/**
 * Starts a program as our child, in a session of its own and in /: its process id. It gets `stdio` as 0 to 2, what else
 * is open and not close-on-exec, and signals as a shell would give them. Nobody but the caller reaps it. NotFound,
 * PermissionDenied: there is no such program, or it may not be run.
 */
export const spawnProcess = (
  path: string,
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  stdio: readonly [number, number, number],
): number =>
  raw.spawnProcess(
    path,
    argv,
    Object.entries(env).map(([name, value]) => `${name}=${value}`),
    stdio,
  );

/**
 * A copy of this process with everything that it has, in a session of its own: 'child' there, its process id here. Of
 * threads only this one goes along: V8 must run with --single-threaded, nothing may be under way in the thread pool,
 * and it must be called on the loop's turn for timers or immediates, not on that for descriptors. What is open is shared
 * as after fork(2), but pollers are each process's own. A child's `Math.random` goes on as its parent's does.
 */
export const fork = (): number | 'child' => {
  const pid = raw.fork();
  if (pid > 0) return pid;
  // Node has read its id for good, and at its end waits for threads that are not here.
  Object.defineProperty(process, 'pid', { value: raw.processId(), enumerable: true, configurable: true });
  process.once('exit', (code) => raw.exitNow(code & 0xff));
  return 'child';
};

/** Now, in nanoseconds since 1970, as other programs read it. */
export const nowNanos = (): bigint => raw.realtimeNanos();

/** NotFound: no such process, or it is reaped already. Readable (Poller) once the process has ended. */
export const pidfdOpen = (pid: number): number => raw.pidfdOpen(pid);

/** Sends a signal to exactly the process that the pidfd was opened on; NotFound: it has ended. 0 only asks. */
export const pidfdSend = (pidfd: number, signal: number): void => raw.pidfdSend(pidfd, signal);

/**
 * What the kernel knows of the process behind a pidfd, child or not. `exit` is there once it has been reaped (poll then
 * gives POLLHUP too), not while it is a zombie; `pid` and `ppid` are 0 then. undefined: the kernel cannot tell (older
 * than 6.13, or than 6.15 and the process is gone).
 */
export const pidfdInfo = (
  pidfd: number,
): { readonly pid: number; readonly ppid: number; readonly exit: ProcessExit | undefined } | undefined => {
  const info = raw.pidfdInfo(pidfd);
  if (info === undefined) return undefined;
  const [pid, ppid, status] = info;
  return { pid, ppid, exit: status === undefined ? undefined : exitOf(status) };
};

/**
 * The exit of a child that has ended; undefined: none has, or there is no such child. With `peek` the child stays to be
 * reaped. Reaping 'any' without `peek` takes the children of libuv too, whose 'exit' then never fires.
 */
export const reap = (
  which: { readonly pid: number } | { readonly pidfd: number } | 'any',
  options: { readonly peek?: boolean } = {},
): { readonly pid: number; readonly exit: ProcessExit } | undefined => {
  const [type, id] =
    which === 'any' ? [waitTypes.any, 0] : 'pid' in which ? [waitTypes.pid, which.pid] : [waitTypes.pidfd, which.pidfd];
  const ended = raw.wait(type, id, options.peek ?? false);
  return ended === undefined ? undefined : { pid: ended[0], exit: exitOf(ended[1]) };
};

/** Of a status as wait(2) and proc_pid_stat(5) pack it. */
export const exitOf = (status: number): ProcessExit =>
  (status & 0x7f) === 0 ? { code: (status >> 8) & 0xff } : { signal: status & 0x7f, dumped: (status & 0x80) !== 0 };

/**
 * Becomes another program: same pid, children and subreaper flag. It gets descriptors 0–2 and `keep`, signals as a new
 * program expects them (SIGPIPE and SIGXFSZ not ignored, none blocked) and `env` as `KEY=value`. Returns only by
 * throwing; then everything is as before, except that all other descriptors are close-on-exec.
 */
export const execve = (path: string, argv: readonly string[], env: readonly string[], keep: readonly number[]): never =>
  raw.execve(path, argv, env, keep);

// Descriptors

export const pipe = (
  options: { readonly nonblocking?: boolean } = {},
): { readonly read: number; readonly write: number } => {
  const [read, write] = raw.pipe(options.nonblocking ?? false);
  return { read, write };
};

/** Two connected unix sockets, non-blocking. */
export const socketPair = (type: keyof typeof socketTypes = 'stream'): readonly [number, number] =>
  raw.socketPair(socketTypes[type]);

/** Non-blocking. Read and written as eight bytes. */
export const eventfd = (initial = 0): number => raw.eventfd(initial);

/** Another number for the same open file, which shares its flags and offset. */
export const duplicate = (fd: number): number => raw.duplicate(fd);

/** O_NONBLOCK belongs to the open file: everybody who shares it, in other processes too, sees the change. */
export const setNonblocking = (fd: number, on: boolean): void => raw.setNonblocking(fd, on);

export const setCloseOnExec = (fd: number, on: boolean): void => raw.setCloseOnExec(fd, on);

/** Closes all descriptors from `first` to `last`, Node's own too, or with `cloexec` marks them close-on-exec. */
export const closeRange = (first: number, last: number, options: { readonly cloexec?: boolean } = {}): void =>
  raw.closeRange(first, last, options.cloexec ?? false);

/** One read(2) of a non-blocking descriptor: bytes read, 0 at the end; undefined: there is nothing now. */
export const readNow = (fd: number, buffer: Uint8Array): number | undefined => raw.readNow(fd, buffer);

/** One write(2) to a non-blocking descriptor: bytes written; undefined: there is no room now. */
export const writeNow = (fd: number, buffer: Uint8Array): number | undefined => raw.writeNow(fd, buffer);

/**
 * Moves up to `length` bytes, one end at least being a pipe, without copying them through this process: bytes moved, 0
 * at the end; undefined: nothing to move, or no room, now. What is no pipe and no file must be non-blocking.
 */
export const splice = (from: number, to: number, length: number): number | undefined => raw.splice(from, to, length);

/** Which of `events` (pollFlags), and of err and hup, hold at this moment. */
export const pollOnce = (fd: number, events: number): number => raw.pollOnce(fd, events);

/** Non-blocking; readNow gives `struct inotify_event`s. */
export const inotify = (): number => raw.inotify();

/** Watches a path for `mask` (inotifyFlags); gives the watch's number in the events. */
export const inotifyAdd = (fd: number, path: string, mask: number): number => raw.inotifyAdd(fd, path, mask);

/**
 * Calls `onEvent` with pollFlags on every turn of the loop on which one of `events`, an error or a hang-up holds: the
 * cause must be removed, or the poller closed, or it is called again. Without events only errors and hang-ups are
 * reported (rdhup: the peer of a socket shut down its side). Works on a copy of the descriptor, so the caller may close
 * theirs, but the open file (a FIFO's reader, say) stays until this is closed; its flags are left alone.
 * PermissionDenied: a regular file, which is always ready. Keeps the process going until closed or unref'd; what
 * `onEvent` throws is an uncaught exception.
 */
export class Poller implements Disposable {
  readonly #watch: number;

  constructor(
    fd: number,
    events: { readonly readable?: boolean; readonly writable?: boolean },
    onEvent: (revents: number) => void,
  ) {
    const wanted = (events.readable === true ? pollFlags.in : 0) | (events.writable === true ? pollFlags.out : 0);
    this.#watch = raw.watch(fd, wanted === 0 ? pollFlags.rdhup : wanted, onEvent);
  }

  ref(): void {
    raw.referenceWatch(this.#watch, true);
  }

  unref(): void {
    raw.referenceWatch(this.#watch, false);
  }

  /** No call comes after it. May be repeated. */
  close(): void {
    raw.unwatch(this.#watch);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

// Sockets

/** Descriptors that one message can bring. Source: SCM_MAX_FD of Linux. */
export const MESSAGE_FDS_MAX = 253;

/**
 * Sends `data` (at least a byte) and copies of at most MESSAGE_FDS_MAX descriptors as one message: bytes sent, the descriptors with
 * the first of them; undefined: there is no room now, and nothing was sent.
 */
export const sendDescriptors = (socketFd: number, data: Uint8Array, fds: readonly number[]): number | undefined =>
  raw.sendDescriptors(socketFd, fds, data);

/**
 * One message and its descriptors; no data is the end; undefined: there is nothing now. A message that brings more
 * descriptors (on a datagram or seqpacket socket: or bytes) than allowed is ResourceExhausted, and all are closed.
 */
export const receiveDescriptors = (
  socketFd: number,
  bytesMax: number,
  fdsMax: number,
): { readonly data: Buffer; readonly fds: readonly number[] } | undefined => {
  const message = raw.receiveDescriptors(socketFd, bytesMax, fdsMax);
  return message === undefined ? undefined : { data: message[0], fds: message[1] };
};

/** Who connected, as it was then. pid 0: a process outside our pid namespace. */
export const peerCredentials = (
  socketFd: number,
): { readonly pid: number; readonly uid: number; readonly gid: number } => {
  const [pid, uid, gid] = raw.peerCredentials(socketFd);
  return { pid, uid, gid };
};

/** Connections that wait to be accepted, unless the caller says otherwise; the kernel's own limit is 4096. */
const BACKLOG = 511;

/**
 * A listening, non-blocking unix socket whose file never has a wider mode than `mode`. AlreadyExists: there is a file of
 * that name, also one that nobody listens on. Never abstract; a path over 107 bytes is InvalidArgument.
 */
export const listenUnix = (path: string, options: { readonly mode: number; readonly backlog?: number }): number =>
  raw.listenUnix(path, options.mode, options.backlog ?? BACKLOG);

/** A connected, non-blocking unix socket. Unavailable: nobody listens, or too many wait. */
export const connectUnix = (path: string): number => raw.connectUnix(path);

/** Sends one datagram to a unix socket, as for systemd's NOTIFY_SOCKET; only here `@name` is an abstract name. */
export const sendDatagram = (path: string, data: Uint8Array): void => raw.sendDatagram(path, data);

// Files

/** flock(2) without waiting; false: another open file has the lock. The lock goes with its open file. */
export const lockFile = (fd: number, kind: keyof typeof lockOperations): boolean =>
  raw.lockFile(fd, lockOperations[kind]);

/** Makes room for bytes of a file, which grows if need be. ResourceExhausted: none left; Unimplemented: not here. */
export const allocate = async (fd: number, offset: number, length: number): Promise<void> =>
  raw.allocate(fd, offset, length);

/** As `allocate`, at once: for small files on tmpfs. */
export const allocateNow = (fd: number, offset: number, length: number): void => raw.allocateNow(fd, offset, length);

/**
 * The first stretch of a file at or behind `offset` that is no hole, bytes; undefined: there is none. Moves the open
 * file's offset.
 */
export const nextData = (fd: number, offset: number): { readonly begin: number; readonly end: number } | undefined => {
  const data = raw.nextData(fd, offset);
  return data === undefined ? undefined : { begin: data[0], end: data[1] };
};

/** Nanoseconds since 1970, also before it. */
export const setTimes = (
  path: string,
  times: { readonly atime: bigint; readonly mtime: bigint },
  options: NoFollow = {},
): void => raw.setTimes(path, times.atime, times.mtime, options.noFollow ?? false);

export interface NoFollow {
  /** Acts on a symlink itself. */
  readonly noFollow?: boolean;
}

/** mknod(2): the type is in `mode` (fs.constants.S_IF…), from which the umask is taken. */
export const makeNode = (
  path: string,
  options: { readonly mode: number; readonly major?: number; readonly minor?: number },
): void => raw.makeNode(path, options.mode, options.major ?? 0, options.minor ?? 0);

/** The umask is taken from `mode`. */
export const makeFifo = (path: string, mode: number): void => raw.makeFifo(path, mode);

/** Whether the path leads to a FIFO; a path that leads nowhere does not. */
export const isFifo = (path: string): boolean => raw.isFifo(path);

/**
 * Opens a FIFO without waiting for its other end. Unavailable: to be written only, and nobody reads. What is no FIFO is
 * InvalidArgument and is not opened. Later reads and writes wait only with `blocking`.
 */
export const openFifo = (
  path: string,
  options: { readonly read?: boolean; readonly write?: boolean; readonly blocking?: boolean },
): number => raw.openFifo(path, options.read ?? false, options.write ?? false, options.blocking ?? false);

/** undefined: no such attribute. */
export const getXattr = (path: string, name: string, options: NoFollow = {}): Buffer | undefined =>
  raw.getXattr(path, name, options.noFollow ?? false);

export const setXattr = (path: string, name: string, value: Uint8Array, options: NoFollow = {}): void =>
  raw.setXattr(path, name, value, options.noFollow ?? false);

export const listXattrs = (path: string, options: NoFollow = {}): string[] =>
  raw.listXattrs(path, options.noFollow ?? false);

export const removeXattr = (path: string, name: string, options: NoFollow = {}): void =>
  raw.removeXattr(path, name, options.noFollow ?? false);

/** How a path may lead out of its directory. Source: openat2(2). */
export type Resolve = { readonly [name in keyof typeof resolveFlags]?: boolean };

/**
 * Opens `path` below a directory; `flags` as for open(2). With `inRoot` the directory is the root of absolute paths and
 * symlinks, with `beneath` leaving it fails (EXDEV, Unknown). Never waits for a FIFO's other end: all but O_PATH
 * descriptors are non-blocking.
 */
export const openIn = (
  directoryFd: number,
  path: string,
  options: { readonly flags: number; readonly mode?: number; readonly resolve?: Resolve },
): number =>
  raw.openIn(directoryFd, path, options.flags, options.mode ?? 0, bitsOf(resolveFlags, options.resolve ?? {}));

// Trees: entries of an open directory, by names of any bytes. Such a string holds one byte a character ('latin1'), and
// a name is one part of a path; no call but openBelow follows a symlink.

/** As openIn, for a path of any bytes. */
export const openBelow = (
  directoryFd: number,
  path: string,
  options: { readonly flags: number; readonly mode?: number; readonly resolve?: Resolve },
): number =>
  raw.openBelow(directoryFd, path, options.flags, options.mode ?? 0, bitsOf(resolveFlags, options.resolve ?? {}));

export interface Inode {
  /** Type and permissions, as in stat(2). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  /** Of a device. */
  readonly major: number;
  readonly minor: number;
  /** Bytes. */
  readonly size: number;
  readonly inode: bigint;
  readonly device: bigint;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
}

/** lstat(2) of an entry, or of the directory itself where the name is empty; undefined: no such entry. */
export const statBelow = (directoryFd: number, name: string): Inode | undefined => {
  const about = raw.statBelow(directoryFd, name);
  if (about === undefined) return undefined;
  const [mode, uid, gid, links, major, minor, size, inode, device, mtime] = about;
  return { mode, uid, gid, links, major, minor, size, inode, device, mtime };
};

export const makeDirectoryBelow = (directoryFd: number, name: string, mode: number): void =>
  raw.makeDirectoryBelow(directoryFd, name, mode);

export const symlinkBelow = (target: string, directoryFd: number, name: string): void =>
  raw.symlinkBelow(target, directoryFd, name);

/** A hard link; to a symlink itself, where `existing` is one. */
export const linkBelow = (fromFd: number, existing: string, toFd: number, name: string): void =>
  raw.linkBelow(fromFd, existing, toFd, name);

/** mknod(2); the type is in `mode`. */
export const makeNodeBelow = (
  directoryFd: number,
  name: string,
  node: { readonly mode: number; readonly major: number; readonly minor: number },
): void => raw.makeNodeBelow(directoryFd, name, node.mode, node.major, node.minor);

/** Removes a file or an empty directory; nothing there is no error; false: a directory with something in it. */
export const removeBelow = (directoryFd: number, name: string): boolean => raw.removeBelow(directoryFd, name);

export interface Attributes {
  readonly uid: number;
  readonly gid: number;
  /** Permissions with set-uid, set-gid and sticky bits: 0 to 0o7777. The umask does not matter. */
  readonly mode: number;
  /** Nanoseconds since 1970. */
  readonly atime: bigint;
  readonly mtime: bigint;
}

/** Sets what an inode of any type has, except that a symlink has no mode. */
export const setInodeBelow = (directoryFd: number, name: string, to: Attributes): void =>
  raw.setInodeBelow(directoryFd, name, to.uid, to.gid, to.mode, to.atime, to.mtime);

/** The same for a file that is open. */
export const finishFile = (fd: number, to: Attributes): void =>
  raw.finishFile(fd, to.uid, to.gid, to.mode, to.atime, to.mtime);

/** A whole new file in one call. AlreadyExists: there is an entry of that name. */
export const writeFileBelow = (directoryFd: number, name: string, to: Attributes, data: Uint8Array): void =>
  raw.writeFileBelow(directoryFd, name, to.uid, to.gid, to.mode, to.atime, to.mtime, data);

export const readLinkBelow = (directoryFd: number, name: string): string => raw.readLinkBelow(directoryFd, name);

/** Names in no order, without `.` and `..`. */
export const listDirectory = (directoryFd: number): string[] => raw.listDirectory(directoryFd);

/** undefined: no such attribute, or a file system without any. */
export const getXattrBelow = (directoryFd: number, name: string, key: string): Buffer | undefined =>
  raw.getXattrBelow(directoryFd, name, key);

export const setXattrBelow = (directoryFd: number, name: string, key: string, value: Uint8Array): void =>
  raw.setXattrBelow(directoryFd, name, key, value);

export const listXattrsBelow = (directoryFd: number, name: string): string[] => raw.listXattrsBelow(directoryFd, name);

/** syncfs(2): returns when what was written to the file system of `fd` is on the disk. */
export const syncFileSystem = async (fd: number): Promise<void> => raw.syncFileSystem(fd);

// Mounts

/**
 * mount(2). Empty `source`, `type` and `data` are none; `flags` are mountFlags. `data` over 4095 bytes is
 * InvalidArgument: the kernel would cut it.
 */
export const mount = async (call: {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  readonly flags: number;
  readonly data: string;
}): Promise<void> => raw.mount(call.source, call.target, call.type, call.flags, call.data);

/** umount2(2). InvalidArgument: no mount point; FailedPrecondition: busy. */
export const unmount = async (
  target: string,
  options: { readonly detach?: boolean; readonly force?: boolean; readonly noFollow?: boolean } = {},
): Promise<void> => raw.unmount(target, bitsOf(unmountFlags, options));

/** Exchanges the root of this mount namespace; processes whose root it was follow. */
export const pivotRoot = async (newRoot: string, putOld: string): Promise<void> => raw.pivotRoot(newRoot, putOld);

// Terminals

export interface WindowSize {
  /** 0–65535, as rows. */
  readonly columns: number;
  readonly rows: number;
}

/** A pseudo-terminal: the master for us, the replica for a process. */
export const openTerminal = (): { readonly master: number; readonly replica: number } => {
  const [master, replica] = raw.openTerminal();
  return { master, replica };
};

/** On either end; the foreground process group gets SIGWINCH if the size changed. */
export const setWindowSize = (fd: number, size: WindowSize): void => raw.setWindowSize(fd, size.columns, size.rows);

export const getWindowSize = (fd: number): WindowSize => {
  const [columns, rows] = raw.getWindowSize(fd);
  return { columns, rows };
};

const bitsOf = <Name extends string>(
  flags: Readonly<Record<Name, number>>,
  wanted: { readonly [name in Name]?: boolean },
): number => {
  let bits = 0;
  for (const name in flags) if (wanted[name] === true) bits |= flags[name];
  return bits;
};
