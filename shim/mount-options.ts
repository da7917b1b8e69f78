/** Flags of mount(2). Source: linux/mount.h. */
export const mountFlag = {
  readOnly: 1,
  noSuid: 2,
  noDev: 4,
  noExec: 8,
  synchronous: 16,
  remount: 32,
  mandatoryLock: 64,
  dirSync: 128,
  noAtime: 1024,
  noDirAtime: 2048,
  bind: 4096,
  recursive: 16384,
  silent: 32768,
  unbindable: 1 << 17,
  private: 1 << 18,
  slave: 1 << 19,
  shared: 1 << 20,
  relatime: 1 << 21,
  strictAtime: 1 << 24,
} as const;

/** Flags that change how mounts propagate; the kernel takes them only in a call of their own. */
export const PROPAGATION_FLAGS = mountFlag.unbindable | mountFlag.private | mountFlag.slave | mountFlag.shared;

export interface ParsedMountOptions {
  /** Flags of mount(2), without those of propagation. */
  readonly flags: number;
  readonly propagation: number;
  /** Options that the file system reads, joined by commas. */
  readonly data: string;
  /** The source is a file to be attached to a loop device first. */
  readonly loop: boolean;
}

/** fstab-style options as mount(2) wants them. What is no known flag is data for the file system. */
export const parseMountOptions = (options: readonly string[]): ParsedMountOptions => {
  let flags = 0;
  let propagation = 0;
  let loop = false;
  const data: string[] = [];
  for (const option of options) {
    const set = setting.get(option);
    const clear = clearing.get(option);
    if (option === 'loop') loop = true;
    else if (set !== undefined && (set & PROPAGATION_FLAGS) !== 0) propagation |= set;
    else if (set !== undefined) flags |= set;
    else if (clear !== undefined) flags &= ~clear;
    else data.push(option);
  }
  return { flags, propagation, data: data.join(','), loop };
};

/**
 * Shortens `lowerdir=` of an overlay: the directory that all layers lie in, and the options with the layers relative to
 * it. undefined if there is no such directory, or nothing to shorten.
 */
export const compactLowerDirectories = (
  options: readonly string[],
): { readonly directory: string; readonly options: readonly string[] } | undefined => {
  const index = options.findIndex((option) => option.startsWith(LOWER));
  const layers = options[index]?.slice(LOWER.length).split(':') ?? [];
  if (layers.length < 2 || !layers.every((layer) => layer.startsWith('/'))) return undefined;
  const [first = []] = layers.map((layer) => layer.split('/'));
  let depth = 0;
  while (layers.every((layer) => first[depth] !== undefined && layer.split('/')[depth] === first[depth])) depth += 1;
  // A layer must not become the empty name, so its own last part is never shared.
  depth = Math.min(depth, ...layers.map((layer) => layer.split('/').length - 1));
  const directory = first.slice(0, depth).join('/');
  if (directory === '') return undefined;
  const relative = layers.map((layer) => layer.slice(directory.length + 1));
  return { directory, options: options.with(index, `${LOWER}${relative.join(':')}`) };
};

const LOWER = 'lowerdir=';

const setting: ReadonlyMap<string, number> = new Map(
  Object.entries({
    defaults: 0,
    bind: mountFlag.bind,
    rbind: mountFlag.bind | mountFlag.recursive,
    dirsync: mountFlag.dirSync,
    mand: mountFlag.mandatoryLock,
    noatime: mountFlag.noAtime,
    nodev: mountFlag.noDev,
    nodiratime: mountFlag.noDirAtime,
    noexec: mountFlag.noExec,
    nosuid: mountFlag.noSuid,
    relatime: mountFlag.relatime,
    remount: mountFlag.remount,
    ro: mountFlag.readOnly,
    strictatime: mountFlag.strictAtime,
    sync: mountFlag.synchronous,
    private: mountFlag.private,
    rprivate: mountFlag.private | mountFlag.recursive,
    shared: mountFlag.shared,
    rshared: mountFlag.shared | mountFlag.recursive,
    slave: mountFlag.slave,
    rslave: mountFlag.slave | mountFlag.recursive,
    unbindable: mountFlag.unbindable,
    runbindable: mountFlag.unbindable | mountFlag.recursive,
  }),
);

const clearing: ReadonlyMap<string, number> = new Map(
  Object.entries({
    async: mountFlag.synchronous,
    atime: mountFlag.noAtime,
    dev: mountFlag.noDev,
    diratime: mountFlag.noDirAtime,
    exec: mountFlag.noExec,
    nomand: mountFlag.mandatoryLock,
    norelatime: mountFlag.relatime,
    nostrictatime: mountFlag.strictAtime,
    rw: mountFlag.readOnly,
    suid: mountFlag.noSuid,
  }),
);
