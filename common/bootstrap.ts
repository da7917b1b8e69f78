import { createHash } from 'node:crypto';
import { join } from 'node:path';

/**
 * What a daemon and a shim must agree on besides the Task API: names, places, and how a shim is told what to serve.
 * Nothing else is shared between the two.
 */

/** The runtime name under which an unmodified containerd finds our shim: binary `containerd-shim-holdfast-v1`. */
export const SHIM_RUNTIME = 'io.containerd.holdfast.v1';
export const SHIM_BINARY = 'containerd-shim-holdfast-v1';

/** Annotations of a Spec that put several containers into one shim. The first that is present wins. */
export const GROUP_ANNOTATIONS = ['io.containerd.runc.v2.group', 'io.kubernetes.cri.sandbox-id'] as const;

/** Longest path of an AF_UNIX socket, bytes, without the terminating NUL. Source: sun_path in unix(7). */
export const SOCKET_PATH_BYTES_MAX = 107;

/** ttrpc metadata of an event that our shim forwards: who sent it, and its place in that shim's order. */
export const EVENT_SHIM_KEY = 'holdfast-shim';
export const EVENT_SEQUENCE_KEY = 'holdfast-sequence';
/** Present on an exit whose record could not be written: the event is all that tells of it. */
export const EVENT_UNRECORDED_KEY = 'holdfast-unrecorded';

/** What a runtime, and hooks without an environment of their own, inherit of a shim's environment. Nothing else. */
export const RUNTIME_ENVIRONMENT_KEYS = [
  'PATH',
  'HOME',
  'TMPDIR',
  'XDG_RUNTIME_DIR',
  'DBUS_SYSTEM_BUS_ADDRESS',
  'DBUS_SESSION_BUS_ADDRESS',
] as const;

/** What a shim inherits of whoever starts it. Nothing else. */
export const SHIM_ENVIRONMENT_KEYS = [...RUNTIME_ENVIRONMENT_KEYS, 'HOLDFAST_NATIVE', 'NODE_COMPILE_CACHE'] as const;

/** Where programs are looked for when the environment does not say. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Environment variable with the soft limit of open files that the launcher found. Node raises the limit at its start
 * and children inherit that; a container must get what it would get from any other runtime.
 */
export const NOFILE_SOFT_VARIABLE = 'HOLDFAST_NOFILE_SOFT';

/** Everything that a shim must be told to come into life; also what `start` passes to the server it spawns. */
export interface ShimIdentity {
  readonly namespace: string;
  /** The container for which the shim was started first; it may end before others of its group. */
  readonly id: string;
  /** The group annotation's value, or the container id. */
  readonly group: string;
  /** State root: bundles lie in `<state>/io.containerd.runtime.v2.task/<ns>/<id>`, shims in `<state>/shims`. */
  readonly state: string;
  /** The daemon's gRPC socket, and its ttrpc socket for events. */
  readonly address: string;
  readonly ttrpcAddress: string;
  readonly debug: boolean;
  /** How a container's stdio reaches a client's FIFO: given to it, or through pipes that the shim copies. */
  readonly stdio: 'fifo' | 'pipe';
}

/** 32 hex digits that name a shim: of the daemon's address, the namespace and the group. */
export const shimHash = (identity: Pick<ShimIdentity, 'address' | 'namespace' | 'group'>): string =>
  createHash('sha256')
    .update(`${identity.address}\0${identity.namespace}\0${identity.group}`)
    .digest('hex')
    .slice(0, 32);

export interface ShimPaths {
  /** 0700; everything of one shim that is not a container's. */
  readonly directory: string;
  /** 0600; Task API v2 and v3 over ttrpc. */
  readonly socket: string;
  readonly ledger: string;
  /** Events that the daemon has not acknowledged yet. */
  readonly outbox: string;
  /**
   * 0600; there once the shim has descriptors that no path leads to, such as a terminal's master. Whoever connects is
   * sent copies of all of them, so that they outlive the shim: lines of JSON, each an array of names
   * `<container>/<exec>/<name>` and sent with the descriptors in the same order, and then the end of the file.
   */
  readonly handout: string;
}

export const shimPaths = (state: string, hash: string): ShimPaths => {
  const directory = join(state, 'shims', hash);
  return {
    directory,
    socket: join(directory, 'sock'),
    ledger: join(directory, 'ledger.json'),
    outbox: join(directory, 'outbox'),
    handout: join(directory, 'fds'),
  };
};

/** The group that a container's Spec annotations put it into. */
export const groupOf = (id: string, annotations: Readonly<Record<string, string>> | undefined): string => {
  for (const key of GROUP_ANNOTATIONS) {
    const group = annotations !== undefined && Object.hasOwn(annotations, key) ? annotations[key] : undefined;
    if (group !== undefined && group !== '') return group;
  }
  return id;
};

/**
 * A spare shim is a shim process without an identity, with a unix stream socket of its own: a process of its own,
 * `containerd-shim-holdfast-v1 spare`, has it as descriptor 3. It says hello with one line of JSON, a BindHello; the
 * daemon writes another, a BindRequest, with the descriptors that it names; the shim takes the identity, listens, writes
 * its ledger and answers with a third, a BindReply; then both close the socket. End of file before the request: it ends.
 *
 * A zygote, `containerd-shim-holdfast-v1 zygote`, has a unix seqpacket socket as descriptor 3. For every message, a byte
 * with one descriptor, it forks a spare shim whose socket that is. End of file: it ends, and its children live on.
 */
export interface BindRequest {
  readonly identity: ShimIdentity;
  /** cgroup of the daemon's choice for the shim itself (Options.shim_cgroup); empty: none. */
  readonly shimCgroup: string;
  /** The shim's oom_score_adj. */
  readonly oomScoreAdj: number;
  /** Names of the descriptors that come with it, in their order: what an earlier process of this shim left to us. */
  readonly descriptors: readonly string[];
}

export interface BindHello {
  readonly pid: number;
}

export type BindReply =
  | { readonly address: string; readonly pid: number }
  /** `code` is a number of common/errdefs.ts. */
  | { readonly code: number; readonly error: string };

/** `bootstrap.json` in a bundle, and what `start` prints to callers that know more than a bare address. */
export interface BootstrapFile {
  /** The Task API version to speak: 2 or 3. */
  readonly version: number;
  /** `unix:///…` */
  readonly address: string;
  readonly protocol: 'ttrpc' | 'grpc';
}
