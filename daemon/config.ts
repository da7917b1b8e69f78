import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { invalidArgument, messageOf, notFound } from '../common/errdefs.ts';
import type { Sharing } from './content/parts.ts';
import { readSettings, type Warn } from './config-keys.ts';
import type { LogLevel } from './log.ts';

/** All that can be set; every value has a default. Paths are absolute. */
export interface Config {
  /** What must survive a reboot: metadata, content, snapshots. */
  readonly root: string;
  /** What need not: bundles, sockets, shims. On tmpfs by default. */
  readonly state: string;
  /** The gRPC socket. */
  readonly address: string;
  /** The socket on which shims forward events: `<address>.ttrpc` unless it is set. */
  readonly ttrpcAddress: string;
  /** Owner of both sockets. */
  readonly socketUid: number;
  readonly socketGid: number;
  readonly receiveBytesMax: number;
  readonly sendBytesMax: number;
  readonly logLevel: LogLevel;
  /** The daemon's oom_score_adj; undefined: as it was started. */
  readonly oomScore: number | undefined;
  readonly events: {
    /** Older events are forgotten, milliseconds. */
    readonly ageMsMax: number;
    readonly countMax: number;
  };
  readonly tasks: {
    /** Shims that are started before somebody needs them. */
    readonly zygote: boolean;
    /** How a container's output reaches a client's FIFO: given to it, or copied by the shim. */
    readonly stdio: 'fifo' | 'pipe';
  };
  readonly content: {
    /** What a blob of one namespace costs another: to name its digest, or all its bytes. */
    readonly sharing: Sharing;
  };
  /** Deadlines of ours, milliseconds. */
  readonly timeouts: {
    readonly shimLoadMs: number;
    readonly shimCleanupMs: number;
    readonly shimShutdownMs: number;
    readonly taskStateMs: number;
  };
  /** Runtime name → absolute path of the shim binary that serves it. Others are served by our own shim or found by name. */
  readonly runtimes: ReadonlyMap<string, string>;
  readonly snapshotters: {
    /** `root`: where its directories are; '': below our root. The rest is told of in snapshots/overlayfs.ts. */
    readonly overlayfs: {
      readonly root: string;
      readonly mountOptions: readonly string[];
      readonly upperdirLabel: boolean;
      readonly syncRemove: boolean;
    };
    readonly native: { readonly root: string };
    /** Those that other processes serve: name → path of the unix socket. */
    readonly proxies: ReadonlyMap<string, string>;
  };
}

export const DEFAULT_CONFIG_PATH = '/etc/holdfast/config.toml';

const DEFAULTS: Config = {
  root: '/var/lib/holdfast',
  state: '/run/holdfast',
  address: '/run/holdfast/holdfast.sock',
  ttrpcAddress: '',
  socketUid: 0,
  socketGid: 0,
  receiveBytesMax: 16 << 20,
  sendBytesMax: 16 << 20,
  logLevel: 'info',
  oomScore: undefined,
  events: { ageMsMax: 72 * 3_600_000, countMax: 100_000 },
  tasks: { zygote: true, stdio: 'fifo' },
  content: { sharing: 'shared' },
  timeouts: { shimLoadMs: 5_000, shimCleanupMs: 5_000, shimShutdownMs: 3_000, taskStateMs: 2_000 },
  runtimes: new Map(),
  snapshotters: {
    overlayfs: { root: '', mountOptions: [], upperdirLabel: false, syncRemove: false },
    native: { root: '' },
    proxies: new Map(),
  },
};

/** What the command line says; it wins over the file. */
export interface Overrides {
  readonly config?: string;
  readonly root?: string;
  readonly state?: string;
  readonly address?: string;
  readonly logLevel?: LogLevel;
}

/** Settings that a file or the command line gives; `warn` hears of what is passed over. */
export const loadConfig = (overrides: Overrides, warn: Warn): Config => {
  const file = readConfigFile(overrides.config, warn);
  const { config: _, ...given } = overrides;
  return complete({ ...DEFAULTS, ...file, ...given });
};

const readConfigFile = (path: string | undefined, warn: Warn): Partial<Config> => {
  const file = path ?? DEFAULT_CONFIG_PATH;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    // Only the file that nobody asked for may be missing.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw invalidArgument(messageOf(error), { cause: error });
    if (path !== undefined) throw notFound('configuration file', file);
    return {};
  }
  return readSettings(text, { file, defaults: DEFAULTS, warn });
};

const complete = (config: Config): Config => {
  const paths = {
    root: resolve(config.root),
    state: resolve(config.state),
    address: resolve(config.address.replace(/^unix:\/\//, '')),
  };
  if (paths.root === paths.state) {
    throw invalidArgument(`root and state must be different paths, and both are ${paths.root}`);
  }
  const ttrpcAddress = config.ttrpcAddress === '' ? `${paths.address}.ttrpc` : resolve(config.ttrpcAddress);
  return { ...config, ...paths, ttrpcAddress };
};
