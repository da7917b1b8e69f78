import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HealthCheckResponse_ServingStatus, HealthDefinition } from '../../proto/gen/grpc/health/v1/health.ts';
import { Ctr } from './ctr.ts';
import { RawClient } from './grpc.ts';
import { fromSources, launcher, repository } from './repository.ts';
import { Server } from './server.ts';
import type { Bed } from './temp.ts';

/** A daemon that speaks containerd's API: ours or containerd itself. */
export class Daemon extends Server {
  readonly kind: 'holdfast' | 'containerd';
  /** Path of the gRPC socket. */
  readonly address: string;
  readonly root: string;
  readonly state: string;
  /** A namespace of this daemon that no other test file uses: ctr's default cgroup is `/<namespace>/<id>`. */
  readonly namespace: string;
  /** Where ctr is told to make its FIFOs, which are its own to leave behind. */
  readonly fifos: string;
  readonly ctr: Ctr;

  constructor(bed: Bed, options: DaemonOptions) {
    super({ ...options, ready: () => serving(options.address), logFile: bed.path(`${options.name}.log`) });
    this.kind = options.kind;
    this.address = options.address;
    this.root = options.root;
    this.state = options.state;
    this.namespace = `${bed.name}-${options.name}`;
    this.fifos = bed.folder(options.name, 'fifo');
    this.ctr = new Ctr(this);
  }

  /** A client of its own for the raw API; the caller closes it. */
  client(namespace = this.namespace): RawClient {
    return new RawClient(this.address, namespace);
  }
}

interface DaemonOptions {
  readonly kind: 'holdfast' | 'containerd';
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly address: string;
  readonly root: string;
  readonly state: string;
}

export interface StartOptions {
  /** Names its folder, log and namespace; needed where a file has two of a kind. */
  readonly name?: string;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Text of its config.toml; what the harness needs is not to be in it. */
  readonly config?: string;
}

/**
 * Starts our daemon with everything of its own in the bed, and waits until all its shims are loaded. It runs as set-up
 * has built it, or from the sources with `HOLDFAST_DEV=1`.
 */
export const startHoldfast = async (bed: Bed, options: StartOptions = {}): Promise<Daemon> => {
  const { name = 'ours', args = [], env = {}, config = '' } = options;
  const folder = bed.folder(name);
  const [address, root, state, file] = [`${folder}/h.sock`, `${folder}/root`, `${folder}/state`, `${folder}/c.toml`];
  writeFileSync(file, config);
  const flags = ['--address', address, '--root', root, '--state', state, '--config', file, ...args];
  const [command, ...before] = fromSources
    ? [process.execPath, '--no-warnings', join(repository, 'daemon/main.ts')]
    : [launcher('holdfastd')];
  const daemon = new Daemon(bed, {
    kind: 'holdfast',
    name,
    command: command ?? '',
    args: [...before, ...flags],
    env,
    address,
    root,
    state,
  });
  await bring(bed, daemon);
  return daemon;
};

/** Starts a daemon; after the file's last test it is emptied and stopped. */
export const bring = async (bed: Bed, daemon: Daemon): Promise<void> => {
  bed.showOnFailure(daemon);
  bed.defer(async () => {
    if (!daemon.running) await daemon.start();
    await daemon.ctr.removeAll();
    await daemon.stop();
  });
  await daemon.start();
};

/** Fails unless the daemon says that it serves. */
const serving = async (address: string): Promise<void> => {
  const client = new RawClient(address, 'default');
  try {
    const { status } = await client.service(HealthDefinition).check({}, { timeoutMs: 5_000 });
    if (status !== HealthCheckResponse_ServingStatus.SERVING) throw new Error(`health: ${status}`);
  } finally {
    client.close();
  }
};
