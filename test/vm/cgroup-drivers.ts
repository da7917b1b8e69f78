import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Daemon } from '../harness/daemon.ts';

/** One of the two ways in which runc makes cgroups. */
export interface CgroupDriver {
  readonly name: string;
  /** The flags of `ctr run` that ask for it. */
  readonly flags: (daemon: Daemon, id: string) => string[];
  /** The directory of the cgroup that a container then has. */
  readonly directory: (daemon: Daemon, id: string) => string;
}

/** systemd takes a dash in a slice's name for a level. */
const slice = ({ namespace }: Daemon): string => `${namespace.replaceAll('-', '_')}.slice`;

export const cgroupDrivers: readonly CgroupDriver[] = [
  {
    name: "runc's own cgroup driver",
    flags: () => [],
    directory: ({ namespace }, id) => join('/sys/fs/cgroup', namespace, id),
  },
  {
    name: "systemd's cgroup driver",
    flags: (daemon, id) => ['--runc-systemd-cgroup', '--cgroup', `${slice(daemon)}:${daemon.namespace}:${id}`],
    directory: (daemon, id) => join('/sys/fs/cgroup', slice(daemon), `${daemon.namespace}-${id}.scope`),
  },
];

/** The text of a control file, without its last newline. */
export const readControl = (directory: string, file: string): string =>
  readFileSync(join(directory, file), 'utf8').trimEnd();

/** Fails where /sys/fs/cgroup is not a tree of version 2. */
export const requireVersion2 = (): void =>
  assert.ok(existsSync('/sys/fs/cgroup/cgroup.controllers'), 'no cgroup v2 here: run this test by npm run test:vm');
