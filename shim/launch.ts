import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { about, alreadyExists, CodedError } from '../common/errdefs.ts';
import type { Mount } from '../proto/gen/containerd/types/types.ts';
import { openIo, type ProcessIo } from './io/process-io.ts';
import { ExitJournal } from './journal.ts';
import type { RuntimeOptions } from './ledger.ts';
import { readPidFile } from './pid-file.ts';
import type { ProcessIdentity } from './proc.ts';
import type { Stdio } from './process.ts';
import { mountRootfs, unmountRootfs } from './rootfs.ts';
import { runtimeError } from './runc/errors.ts';
import type { CreateOptions, Runc } from './runc/runc.ts';
import type { SpecFacts } from './spec.ts';

/** How often, and how many ms apart, what a cut creation has left in the runtime's state is removed. */
const CLEAR_TRIES = 20;
const CLEAR_RETRY_MS = 100;

/** What is needed to make a container. */
export interface LaunchConfig {
  readonly id: string;
  readonly namespace: string;
  readonly bundle: string;
  readonly stdio: Stdio;
  readonly options: RuntimeOptions;
  readonly runc: Runc;
  readonly facts: SpecFacts;
  /** Directory of a criu image to restore from; empty: a fresh container. */
  readonly checkpoint: string;
  readonly parentCheckpoint: string;
  /** The runtime's root is below our state directory, which no other daemon uses. */
  readonly ownRoot: boolean;
  /** Stdio goes through pipes of ours. */
  readonly pipes: boolean;
}

export interface Launched {
  readonly journal: ExitJournal;
  readonly io: ProcessIo;
  /** undefined: it is to be restored from a checkpoint, which Start does. */
  readonly identity: ProcessIdentity | undefined;
}

/** Makes a container up to the point where its process waits to be started; a failure leaves nothing behind. */
export const launch = async (
  config: LaunchConfig,
  mounts: readonly Mount[],
  signal: AbortSignal,
): Promise<Launched> => {
  const { id, bundle, runc, checkpoint } = config;
  await clearName(config);
  await using undo = new AsyncDisposableStack();
  const journal = ExitJournal.reserve(bundle, '');
  undo.defer(() => journal.remove());
  if (mounts.length > 0) {
    await mountRootfs(bundle, mounts);
    undo.defer(() => unmountRootfs(bundle));
  }
  const io = await openInitIo(config, signal);
  undo.defer(() => io.close());
  let identity: ProcessIdentity | undefined;
  if (checkpoint === '') {
    undo.defer(() => runc.delete(id, { force: true }).catch(() => undefined));
    await runc.create(id, createOptions(config, io), io.stdio, signal).catch(renamed('OCI runtime create failed'));
    identity = readPidFile(initPidFile(bundle));
    await io.started(signal);
  }
  undo.move();
  return { journal, io, identity };
};

/**
 * The runtime refuses a second container of a name, and undoing our attempt must not delete the first. But who asks us
 * knows of no first: what has ended, or never began, was left by a creation that was cut, whose runtime may have gone on
 * for a moment longer than anybody waited for it. It goes, unless it may be somebody else's: in a root of our own all is ours.
 */
const clearName = async ({ id, options, runc, ownRoot }: LaunchConfig): Promise<void> => {
  const place = join(options.root, id);
  let why: unknown;
  for (let tries = 0; tries < CLEAR_TRIES && existsSync(place); tries += 1) {
    if (tries > 0) await sleep(CLEAR_RETRY_MS); // a runtime that was killed may take a moment to be gone
    const status = await runc.state(id).catch(() => undefined);
    if (!ownRoot && status !== undefined && status !== 'stopped') break;
    await runc.delete(id, { force: true }).catch((error: unknown) => (why = error));
  }
  if (existsSync(place)) throw alreadyExists('OCI runtime create failed: container', id, { cause: why });
};

/** Has criu bring back the process of a checkpoint. */
export const restore = async (config: LaunchConfig, io: ProcessIo, signal: AbortSignal): Promise<ProcessIdentity> => {
  const { id, bundle, options, runc, checkpoint, parentCheckpoint } = config;
  const workPath = options.criuWorkPath || join(bundle, 'work');
  const images = { imagePath: checkpoint, parentPath: parentCheckpoint, workPath };
  await runc
    .restore(id, { ...createOptions(config, io), ...images }, io.stdio, signal)
    .catch(renamed('OCI runtime restore failed'));
  const identity = readPidFile(initPidFile(bundle));
  await io.started(signal);
  return identity;
};

/** Puts words before the runtime's own; an error with a code of its own (cancelled, deadline) passes as it is. */
export const renamed =
  (what: string) =>
  (error: unknown): never => {
    throw error instanceof CodedError ? error : runtimeError(what, error);
  };

const openInitIo = async (config: LaunchConfig, signal: AbortSignal): Promise<ProcessIo> => {
  const { id, namespace, bundle, stdio, options, facts, checkpoint, pipes } = config;
  const owner = { uid: options.ioUid, gid: options.ioGid, selinux: facts.selinuxLabel !== '' };
  try {
    const request = { ...stdio, ...owner, pipes, bundle, namespace, id, execId: '', restored: checkpoint !== '' };
    return await openIo(request, signal);
  } catch (error) {
    throw about('failed to create init process I/O', error);
  }
};

const createOptions = ({ bundle, options }: LaunchConfig, io: ProcessIo): CreateOptions => ({
  bundle,
  pidFile: initPidFile(bundle),
  consoleSocket: io.consoleSocket,
  noPivotRoot: options.noPivotRoot,
  noNewKeyring: options.noNewKeyring,
});

const initPidFile = (bundle: string): string => join(bundle, 'init.pid');
