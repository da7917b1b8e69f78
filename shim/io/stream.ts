/** One of a process's streams, as the shim holds it. */
export interface Stream {
  /** What must survive an execve, by name. */
  readonly fds: Readonly<Record<string, number>>;
  /** Resolves when what is there now has been handed on, as far as that is ours to do. */
  drained(): Promise<void>;
  /** The process has ended, and its readers may come to the end. May be repeated. */
  release(): void;
  close(): Promise<void>;
}

/** All but our writer of an input FIFO, which a path leads to. */
export const withoutInputWriter = (fds: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(fds).filter(([name]) => name !== 'stdin.write'));

/** Those of some named descriptors that are there. */
export const present = (fds: Readonly<Record<string, number | undefined>>): Record<string, number> => {
  const found: Record<string, number> = {};
  for (const [name, fd] of Object.entries(fds)) if (fd !== undefined) found[name] = fd;
  return found;
};

/** `{ stdout: { read: 7 } }` as `{ 'stdout.read': 7 }`: the names under which descriptors survive. */
export const prefixed = (prefix: string, fds: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(fds).map(([name, fd]) => [`${prefix}.${name}`, fd]));

/** What `prefixed` has put under a prefix. */
export const unprefixed = (prefix: string, fds: Readonly<Record<string, number>>): Record<string, number> => {
  const start = `${prefix}.`;
  const own = Object.entries(fds).filter(([name]) => name.startsWith(start));
  return Object.fromEntries(own.map(([name, fd]) => [name.slice(start.length), fd]));
};
