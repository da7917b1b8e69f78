import type { Logger } from 'pino';
import { packAny, unpackAny } from '../../common/any.ts';
import { shimHash, type ShimIdentity } from '../../common/bootstrap.ts';
import { alreadyExists, codeOf, codes } from '../../common/errdefs.ts';
import { Options } from '../../proto/gen/containerd/runc/v1/runc_options.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import type { ShimRow } from '../store/tables/shims.ts';
import type { TaskKey } from '../store/tables/tasks.ts';
import type { Connect } from './connect.ts';
import { shimOomScore, type ShimProgram } from './program.ts';
import { identify, type Shim } from './shim.ts';
import { type ShimCommand, startShim } from './shim-command.ts';
import type { Survivors } from './shim-control.ts';
import type { ShimStarter } from './starter.ts';
import { isRuncShim } from './runtime-names.ts';

const RUNC_OPTIONS = 'containerd.runc.v1.Options';

/** Where the daemon is and how it runs shims. */
export interface SpawnParts {
  readonly starter: ShimStarter;
  readonly program: ShimProgram;
  readonly state: string;
  readonly address: string;
  readonly ttrpcAddress: string;
  readonly debug: boolean;
  readonly stdio: 'fifo' | 'pipe';
  readonly bootId: string;
  readonly log: Logger;
  readonly connect: Connect;
}

/** What a shim of ours is told about itself. */
export const identityOf = (parts: SpawnParts, row: Pick<ShimRow, 'namespace' | 'id' | 'group'>): ShimIdentity => ({
  namespace: row.namespace,
  id: row.id,
  group: row.group,
  state: parts.state,
  address: parts.address,
  ttrpcAddress: parts.ttrpcAddress,
  debug: parts.debug,
  stdio: parts.stdio,
});

export const ownShimKey = (parts: SpawnParts, namespace: string, group: string): string =>
  shimHash({ address: parts.address, namespace, group });

/**
 * Makes one of our own shims serve. What an earlier process of this shim left in its ledger
 * it takes up. One that turns out to be alive is made use of.
 */
export const bindShim = async (
  parts: SpawnParts,
  shim: Shim,
  shimCgroup: string,
  survivors: Survivors = {},
): Promise<void> => {
  const request = { identity: identityOf(parts, shim.row), shimCgroup, oomScoreAdj: shimOomScore() };
  try {
    const { address, pid } = await parts.starter.bind(request, survivors);
    shim.serves({ address, version: 2, ...identify(pid) });
  } catch (error) {
    if (codeOf(error) !== codes.alreadyExists) throw error;
    await parts.connect(shim);
    if (shim.row.pid === 0) throw alreadyExists('shim', shim.key, { cause: error });
  }
};

/** Starts a shim by the public protocol, or finds the one of the container's group. */
export const startForeignShim = async (
  parts: SpawnParts,
  shim: Shim,
  task: TaskKey & { readonly bundle: string; readonly options: Any | undefined },
  signal: AbortSignal,
): Promise<void> => {
  const started = await startShim(commandOf(parts, shim.row.binary), task, signal);
  shim.serves({ ...started, pid: 0, startTime: 0n });
  await parts.connect(shim);
};

/** How a row's shim is called by the public protocol; our own understands it too. */
export const commandOf = (parts: SpawnParts, binary: string): ShimCommand => ({
  ...(binary === '' ? parts.program : { command: binary, args: [], env: process.env }),
  address: parts.address,
  ttrpcAddress: parts.ttrpcAddress,
  debug: parts.debug,
});

/** Runc's state lies below ours whoever calls it, unless the client says otherwise: two daemons must not share one. */
export const withRuncRoot = (binary: string, options: Any | undefined, root: string): Any | undefined => {
  if (binary === '' || (options === undefined && !isRuncShim(binary))) return options;
  const given = options === undefined ? Options.create() : unpackAny(options, RUNC_OPTIONS, Options);
  if (given === undefined || given.root !== '') return options;
  return packAny(RUNC_OPTIONS, Options, { ...given, root });
};
