import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bring, Daemon, type StartOptions } from './daemon.ts';
import type { Bed } from './temp.ts';

/** Configuration of a containerd that collects nothing, so that what nobody has leased stays. */
export const NO_COLLECTION = `[plugins."io.containerd.gc.v1.scheduler"]
  startup_delay = "24h"
  pause_threshold = 0.0
  deletion_threshold = 0
  mutation_threshold = 0
`;

/** Starts a real containerd with everything of its own in the bed; what has no place in its API or config is off. */
export const startContainerd = async (bed: Bed, options: StartOptions = {}): Promise<Daemon> => {
  const { name = 'theirs', args = [], env = {}, config = '' } = options;
  const folder = bed.folder(name);
  const [address, root, state, file] = [`${folder}/c.sock`, `${folder}/root`, `${folder}/state`, `${folder}/c.toml`];
  writeFileSync(
    file,
    `version = 2
root = "${root}"
state = "${state}"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "${address}"
[ttrpc]
  address = "${address}.ttrpc"
${config}`,
  );
  const daemon = new Daemon(bed, {
    kind: 'containerd',
    name,
    command: 'containerd',
    args: ['--config', file, '--log-level', 'info', ...args],
    env,
    address,
    root,
    state,
  });
  // Its runtime root does not follow its state directory.
  bed.defer(() => rmSync(join('/run/containerd/runc', daemon.namespace), { recursive: true, force: true }));
  await bring(bed, daemon);
  return daemon;
};
