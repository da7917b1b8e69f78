/** Pairs come as arrays; what is not there, or would have to wait, is undefined. */
type Pair = readonly [number, number];

/** What the addon exports: calls of plain arguments, checked there. native/index.ts gives them their shape. */
export interface Raw {
  setErrorFactory(
    make: (errno: number, name: string | undefined, call: string, reason?: string, subject?: string) => Error,
  ): void;

  setSubreaper(on: boolean): void;
  isSubreaper(): boolean;
  setParentDeathSignal(signal: number): void;
  getResourceLimit(resource: number): readonly [bigint, bigint];
  setResourceLimit(resource: number, soft: bigint, hard: bigint): void;
  pidfdOpen(pid: number): number;
  pidfdSend(pidfd: number, signal: number): void;
  pidfdInfo(pidfd: number): readonly [number, number, number | undefined] | undefined;
  wait(type: number, id: number, peek: boolean): Pair | undefined;
  realtimeNanos(): bigint;
  fork(): number;
  processId(): number;
  exitNow(status: number): never;
  spawnProcess(path: string, argv: readonly string[], env: readonly string[], stdio: readonly number[]): number;
  execve(path: string, argv: readonly string[], env: readonly string[], keep: readonly number[]): never;

  pipe(nonblocking: boolean): Pair;
  socketPair(type: number): Pair;
  eventfd(initial: number): number;
  duplicate(fd: number): number;
  setNonblocking(fd: number, on: boolean): void;
  setCloseOnExec(fd: number, on: boolean): void;
  closeRange(first: number, last: number, cloexec: boolean): void;
  readNow(fd: number, buffer: Uint8Array): number | undefined;
  writeNow(fd: number, buffer: Uint8Array): number | undefined;
  splice(from: number, to: number, length: number): number | undefined;
  pollOnce(fd: number, events: number): number;
  inotify(): number;
  inotifyAdd(fd: number, path: string, mask: number): number;
  watch(fd: number, events: number, callback: (revents: number) => void): number;
  unwatch(watch: number): void;
  referenceWatch(watch: number, on: boolean): void;

  sendDescriptors(socket: number, fds: readonly number[], data: Uint8Array): number | undefined;
  receiveDescriptors(socket: number, bytesMax: number, fdsMax: number): readonly [Buffer, number[]] | undefined;
  peerCredentials(socket: number): readonly [number, number, number];
  listenUnix(path: string, mode: number, backlog: number): number;
  connectUnix(path: string): number;
  sendDatagram(path: string, data: Uint8Array): void;

  lockFile(fd: number, operation: number): boolean;
  allocate(fd: number, offset: number, length: number): Promise<void>;
  allocateNow(fd: number, offset: number, length: number): void;
  nextData(fd: number, offset: number): Pair | undefined;
  setTimes(path: string, atime: bigint, mtime: bigint, noFollow: boolean): void;
  makeNode(path: string, mode: number, major: number, minor: number): void;
  makeFifo(path: string, mode: number): void;
  getXattr(path: string, name: string, noFollow: boolean): Buffer | undefined;
  setXattr(path: string, name: string, value: Uint8Array, noFollow: boolean): void;
  listXattrs(path: string, noFollow: boolean): string[];
  removeXattr(path: string, name: string, noFollow: boolean): void;
  openIn(directory: number, path: string, flags: number, mode: number, resolve: number): number;
  isFifo(path: string): boolean;
  openFifo(path: string, read: boolean, write: boolean, blocking: boolean): number;

  mount(source: string, target: string, type: string, flags: number, data: string): Promise<void>;
  unmount(target: string, flags: number): Promise<void>;
  pivotRoot(newRoot: string, putOld: string): Promise<void>;

  openBelow(directory: number, path: string, flags: number, mode: number, resolve: number): number;
  statBelow(
    directory: number,
    name: string,
  ): readonly [number, number, number, number, number, number, number, bigint, bigint, bigint] | undefined;
  makeDirectoryBelow(directory: number, name: string, mode: number): void;
  symlinkBelow(target: string, directory: number, name: string): void;
  linkBelow(from: number, existing: string, to: number, name: string): void;
  makeNodeBelow(directory: number, name: string, mode: number, major: number, minor: number): void;
  removeBelow(directory: number, name: string): boolean;
  setInodeBelow(
    directory: number,
    name: string,
    uid: number,
    gid: number,
    mode: number,
    atime: bigint,
    mtime: bigint,
  ): void;
  finishFile(file: number, uid: number, gid: number, mode: number, atime: bigint, mtime: bigint): void;
  writeFileBelow(
    directory: number,
    name: string,
    uid: number,
    gid: number,
    mode: number,
    atime: bigint,
    mtime: bigint,
    data: Uint8Array,
  ): void;
  readLinkBelow(directory: number, name: string): string;
  listDirectory(directory: number): string[];
  getXattrBelow(directory: number, name: string, key: string): Buffer | undefined;
  setXattrBelow(directory: number, name: string, key: string, value: Uint8Array): void;
  listXattrsBelow(directory: number, name: string): string[];
  syncFileSystem(file: number): Promise<void>;

  openTerminal(): Pair;
  setWindowSize(fd: number, columns: number, rows: number): void;
  getWindowSize(fd: number): Pair;
}
