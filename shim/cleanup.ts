import { rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { groupOf, shimHash, type ShimPaths, shimPaths } from '../common/bootstrap.ts';
import { messageOf } from '../common/errdefs.ts';
import { checkIdentifier } from '../common/identifiers.ts';
import { requireNamespace } from '../common/namespace.ts';
import { timestampFromNanos } from '../common/timestamp.ts';
import { nowNanos } from '../native/index.ts';
import { DeleteResponse } from '../proto/gen/containerd/task/v2/task_v2.ts';
import { stateOf } from './bundle.ts';
import type { Flags } from './flags.ts';
import { readExitRecord } from './journal.ts';
import { type ContainerDocument, type Ledger, readLedger, writeLedger } from './ledger.ts';
import { claimDirectory } from './listen.ts';
import { peekPidFile } from './pid-file.ts';
import { bootId } from './proc.ts';
import { unmountRootfs } from './rootfs.ts';
import { Runc } from './runc/runc.ts';
import { readSpec } from './spec.ts';

/** 128 and SIGKILL: what a container that we had to end is said to have ended with. */
const KILLED_STATUS = 137;

/**
 * The `delete` command: the shim of a container is gone. Ends the container and everything the shim left of it, and
 * gives an encoded DeleteResponse with the exit status from the record, if the shim still wrote one.
 */
export const cleanUp = async (flags: Flags, warn: (text: string) => void): Promise<Uint8Array> => {
  const id = checkIdentifier(flags.id);
  const namespace = requireNamespace(flags.namespace);
  const bundle = flags.bundle === '' ? join(dirname(resolve('.')), id) : resolve(flags.bundle);
  const state = stateOf(bundle);
  const paths = shimPaths(state, shimHash({ address: flags.address, namespace, group: groupIn(bundle, id) }));
  const ledger = await attempt('ledger', warn, () => readLedger(paths.ledger));
  const document = ledger?.containers[id];
  const record = readExitRecord(bundle, '');

  const options = document?.options ?? { binaryName: '', root: join(state, 'runc', namespace), systemdCgroup: false };
  const runc = new Runc({ ...options, logDirectory: bundle });
  await attempt('runtime', warn, () => runc.delete(id, { force: true }));
  await attempt('rootfs', warn, () => unmountRootfs(bundle));
  if (ledger !== undefined) await attempt('ledger', warn, () => strike(paths, ledger, id));

  const pid = record?.pid ?? pidOf(document, ledger) ?? peekPidFile(join(bundle, 'init.pid'))?.pid ?? 0;
  const exitedAt = timestampFromNanos(record?.exitedAt ?? nowNanos());
  return DeleteResponse.encode({ pid, exitStatus: record?.status ?? KILLED_STATUS, exitedAt }).finish();
};

/** Takes a container out of the ledger of a shim that is gone, and with the last one all that the shim had. */
const strike = (paths: ShimPaths, ledger: Ledger, id: string): void => {
  claimDirectory(paths); // refused while a shim lives: then the ledger is its own
  const { [id]: _, ...containers } = ledger.containers;
  if (Object.keys(containers).length === 0) rmSync(paths.directory, { recursive: true, force: true });
  else writeLedger(paths.ledger, { ...ledger, containers });
};

const groupIn = (bundle: string, id: string): string => {
  try {
    return groupOf(id, readSpec(bundle).annotations);
  } catch {
    return id; // the bundle is incomplete, or gone already
  }
};

const pidOf = (document: ContainerDocument | undefined, ledger: Ledger | undefined): number | undefined =>
  document !== undefined && document.pid > 0 && ledger?.bootId === bootId() ? document.pid : undefined;

/** Each step is tried whatever became of the one before. */
const attempt = async <T>(
  what: string,
  warn: (text: string) => void,
  step: () => T | Promise<T>,
): Promise<T | undefined> => {
  try {
    return await step();
  } catch (error) {
    warn(`${what}: ${messageOf(error)}`);
    return undefined;
  }
};
