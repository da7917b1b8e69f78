import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The program of a shim: ours as it is built and as it is run from its sources, and any other of the protocol. */
const PROGRAM = /containerd-shim-|\bshim(\/main)?\.m?[jt]s\b/;
/** A socket that only a shim of ours binds, whatever program it is (common/bootstrap.ts). */
const SOCKET = /\/shims\/[0-9a-f]{32}\/sock$/;

export interface ShimProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly args: readonly string[];
  /** Paths of the unix sockets that it has bound. */
  readonly sockets: readonly string[];
}

/** The shims of this machine, whoever's they are. Those that we may not look into have no sockets. */
export const shimProcesses = (): readonly ShimProcess[] => {
  const paths = boundSockets();
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid))
    .map((pid) => shimProcess(pid, paths))
    .filter((one) => one !== undefined);
};

const shimProcess = (pid: number, paths: ReadonlyMap<string, string>): ShimProcess | undefined => {
  try {
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    const sockets = socketsOf(pid, paths);
    if (!PROGRAM.test(commandLine) && !sockets.some((path) => SOCKET.test(path))) return undefined;
    const parentPid = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
    return { pid, parentPid, args: commandLine.split('\0'), sockets };
  } catch {
    return undefined; // it has just ended
  }
};

const socketsOf = (pid: number, paths: ReadonlyMap<string, string>): string[] => {
  try {
    const links = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    return links.map((link) => paths.get(link) ?? '').filter((path) => path !== '');
  } catch {
    return [];
  }
};

/** `socket:[4711]` to its path. Source: proc(5), /proc/net/unix. */
const boundSockets = (): ReadonlyMap<string, string> => {
  const lines = readFileSync('/proc/net/unix', 'utf8').split('\n').slice(1);
  return new Map(
    lines
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields.length > 7)
      .map((fields) => [`socket:[${fields[6]}]`, fields.slice(7).join(' ')]),
  );
};
