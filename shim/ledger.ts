import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { replaceFile } from '../common/atomic-file.ts';
import type { ShimIdentity } from '../common/bootstrap.ts';
import { CodedError, codes } from '../common/errdefs.ts';
import type { CgroupDocument } from './cgroup/paths.ts';
import type { IoDocument } from './io/process-io.ts';
import { bootId } from './proc.ts';
import type { ExecState, InitState } from './process-state.ts';

/** The form of the document. A reader keeps fields that it does not know, so an older shim may follow a newer one. */
export const LEDGER_VERSION = 1;

/** All that a shim knows, apart from a few descriptors: with both, another process is the same shim. */
export interface Ledger {
  readonly version: typeof LEDGER_VERSION;
  readonly identity: ShimIdentity;
  /** Distinguishes this shim's events from those of an earlier one of the same group: sequences start at 1 again. */
  readonly life: string;
  /** Process ids below are those of this boot. */
  readonly bootId: string;
  /** The shim process itself. */
  readonly pid: number;
  readonly containers: Readonly<Record<string, ContainerDocument>>;
  /** What Delete has answered, by `<container>` or `<container>/<exec>`: a repeated Delete gets the same. */
  readonly tombstones: Readonly<Record<string, TombstoneDocument>>;
}

/** 64-bit numbers are decimal strings. */
export interface ProcessDocument {
  readonly pid: number;
  readonly startTime: string;
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
  readonly io?: IoDocument;
  readonly exit?: ExitDocument;
}

export interface ExitDocument {
  readonly status: number;
  readonly exitedAt: string;
  /** Its event's place in the outbox. */
  readonly sequence: string;
}

export interface ContainerDocument extends ProcessDocument {
  readonly bundle: string;
  /** `creating`: written before the first side effect; found at a resume, it is undone. */
  readonly state: InitState | 'creating';
  readonly rootfsMounted: boolean;
  /** The runtime was about to start it: it may run, or have run, though its state does not say so. */
  readonly starting?: boolean;
  /** Absent until they are known. */
  readonly cgroups?: CgroupDocument;
  readonly options: RuntimeOptions;
  readonly checkpoint: string;
  readonly parentCheckpoint: string;
  readonly execs: Readonly<Record<string, ExecDocument>>;
}

export interface ExecDocument extends ProcessDocument {
  readonly state: ExecState;
  /** The runtime was about to start it: there may be a process that nothing else knows of. */
  readonly starting?: boolean;
  /** JSON of the OCI Process, until it has been started. */
  readonly spec?: string;
}

/** What of containerd.runc.v1.Options outlives the Create request. */
export interface RuntimeOptions {
  readonly binaryName: string;
  /** The runtime's state directory, with the namespace. */
  readonly root: string;
  readonly systemdCgroup: boolean;
  readonly noPivotRoot: boolean;
  readonly noNewKeyring: boolean;
  readonly ioUid: number;
  readonly ioGid: number;
  readonly criuWorkPath: string;
}

export interface TombstoneDocument extends ExitDocument {
  readonly pid: number;
}

/** The ledger of a shim that has no container yet. */
export const newLedger = (identity: ShimIdentity): Ledger => ({
  version: LEDGER_VERSION,
  identity,
  life: randomBytes(4).toString('hex'),
  bootId: bootId(),
  pid: process.pid,
  containers: {},
  tombstones: {},
});

/** The ledger at `path`; undefined if there is none. DataLoss if it cannot be understood. */
export const readLedger = (path: string): Ledger | undefined => {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const ledger: Ledger = JSON.parse(text);
    if (ledger.version !== LEDGER_VERSION || typeof ledger.identity !== 'object') {
      throw new Error(`version ${String(ledger.version)}, known is ${LEDGER_VERSION}`);
    }
    return ledger;
  } catch (error) {
    throw new CodedError(codes.dataLoss, `ledger ${path} cannot be read: ${String(error)}`, { cause: error });
  }
};

export const writeLedger = (path: string, ledger: Ledger): void => replaceFile(path, JSON.stringify(ledger));
