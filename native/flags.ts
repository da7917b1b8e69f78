// Numbers of the kernel's interface. Those that differ between architectures are not here, but in Node's constants.

/** What poll(2) reports and is asked for. Source: asm-generic/poll.h. */
export const pollFlags = { in: 0x1, out: 0x4, err: 0x8, hup: 0x10, rdhup: 0x2000 } as const;

/** Flags of mount(2). Source: linux/mount.h. */
export const mountFlags = {
  readOnly: 1 << 0,
  noSuid: 1 << 1,
  noDev: 1 << 2,
  noExec: 1 << 3,
  synchronous: 1 << 4,
  remount: 1 << 5,
  mandatoryLock: 1 << 6,
  dirSync: 1 << 7,
  noSymlinkFollow: 1 << 8,
  noAtime: 1 << 10,
  noDirAtime: 1 << 11,
  bind: 1 << 12,
  move: 1 << 13,
  recursive: 1 << 14,
  silent: 1 << 15,
  unbindable: 1 << 17,
  private: 1 << 18,
  slave: 1 << 19,
  shared: 1 << 20,
  relatime: 1 << 21,
  strictAtime: 1 << 24,
  lazyTime: 1 << 25,
} as const;

/** Flags of umount2(2). Source: sys/mount.h. */
export const unmountFlags = { force: 1 << 0, detach: 1 << 1, noFollow: 1 << 3 } as const;

/** How openat2(2) resolves a path. Source: linux/openat2.h. */
export const resolveFlags = {
  noXdev: 1 << 0,
  noMagicLinks: 1 << 1,
  noSymlinks: 1 << 2,
  beneath: 1 << 3,
  inRoot: 1 << 4,
} as const;

/** What inotify(7) reports and is asked for. Source: sys/inotify.h. */
export const inotifyFlags = {
  modify: 0x2,
  attrib: 0x4,
  closeWrite: 0x8,
  closeNoWrite: 0x10,
  open: 0x20,
  create: 0x100,
  delete: 0x200,
  deleteSelf: 0x400,
} as const;

/** Resources of prlimit(2). Source: asm-generic/resource.h; x86-64 and arm64 use it as it is. */
export const resources = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
} as const;

/** Types of sockets. Source: asm-generic/socket.h as glibc has it. */
export const socketTypes = { stream: 1, datagram: 2, seqpacket: 5 } as const;

/** Operations of flock(2). Source: sys/file.h. */
export const lockOperations = { shared: 1, exclusive: 2, unlock: 8 } as const;

/** Whom waitid(2) waits for. Source: linux/wait.h. */
export const waitTypes = { any: 0, pid: 1, pidfd: 3 } as const;
