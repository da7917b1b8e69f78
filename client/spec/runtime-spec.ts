/**
 * The parts of the OCI runtime specification that this SDK writes or reads, under the specification's own names. All
 * else in a document that somebody made stays untouched.
 */
export interface Spec {
  ociVersion: string;
  process?: ProcessSpec;
  root?: { path: string; readonly?: boolean };
  hostname?: string;
  mounts?: MountSpec[];
  annotations?: Record<string, string>;
  linux?: LinuxSpec;
}

export interface ProcessSpec {
  terminal?: boolean;
  /** Characters. */
  consoleSize?: { width: number; height: number };
  user: UserSpec;
  args: string[];
  /** `NAME=value` */
  env?: string[];
  cwd: string;
  capabilities?: CapabilitiesSpec;
  rlimits?: { type: string; soft: number; hard: number }[];
  noNewPrivileges?: boolean;
  oomScoreAdj?: number;
  apparmorProfile?: string;
  selinuxLabel?: string;
}

export interface UserSpec {
  uid: number;
  gid: number;
  additionalGids?: number[];
}

export interface CapabilitiesSpec {
  bounding?: string[];
  effective?: string[];
  permitted?: string[];
  inheritable?: string[];
  ambient?: string[];
}

export interface MountSpec {
  destination: string;
  type?: string;
  source?: string;
  options?: string[];
}

export interface LinuxSpec {
  namespaces?: { type: string; path?: string }[];
  devices?: DeviceSpec[];
  resources?: LinuxResources;
  cgroupsPath?: string;
  maskedPaths?: string[];
  readonlyPaths?: string[];
}

export interface DeviceSpec {
  path: string;
  type: 'c' | 'b' | 'p';
  major?: number;
  minor?: number;
  fileMode?: number;
  uid?: number;
  gid?: number;
}

export interface LinuxResources {
  devices?: { allow: boolean; type?: 'a' | 'c' | 'b'; major?: number; minor?: number; access?: string }[];
  /** Bytes. */
  memory?: { limit?: number; reservation?: number; swap?: number };
  /** `quota` and `period` in microseconds. */
  cpu?: { shares?: number; quota?: number; period?: number; cpus?: string; mems?: string };
  pids?: { limit: number };
}
