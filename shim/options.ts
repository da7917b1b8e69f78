import { join } from 'node:path';
import { unpackAny } from '../common/any.ts';
import { invalidArgument } from '../common/errdefs.ts';
import { CheckpointOptions, Options } from '../proto/gen/containerd/runc/v1/runc_options.ts';
import type { Any } from '../proto/gen/google/protobuf/any.ts';
import type { ShimIdentity } from '../common/bootstrap.ts';
import type { RuntimeOptions } from './ledger.ts';

const OPTIONS = 'containerd.runc.v1.Options';
const CHECKPOINT_OPTIONS = 'containerd.runc.v1.CheckpointOptions';
/** Options of runtimes with a configuration file: nothing in them is for runc. */
const GENERIC_OPTIONS = 'runtimeoptions.v1.Options';

/** The runc options in an Any; defaults where there is none. */
export const runcOptions = (any: Any | undefined): Options => {
  if (any === undefined || any.typeUrl === '' || any.typeUrl.endsWith(GENERIC_OPTIONS)) return Options.create();
  const options = unpackAny(any, OPTIONS, Options);
  if (options === undefined) throw invalidArgument(`options of type ${any.typeUrl}, expected ${OPTIONS}`);
  return options;
};

/**
 * What of a Create request's options the shim keeps. The runtime's root is that of the options, or `<state>/runc`, and
 * below it the namespace; containerd's own state directory gives the root that its own shim uses.
 */
export const runtimeOptions = (identity: ShimIdentity, any: Any | undefined): RuntimeOptions => {
  const options = runcOptions(any);
  return {
    binaryName: options.binaryName,
    root: join(options.root || join(identity.state, 'runc'), identity.namespace),
    systemdCgroup: options.systemdCgroup,
    noPivotRoot: options.noPivotRoot,
    noNewKeyring: options.noNewKeyring,
    ioUid: options.ioUid,
    ioGid: options.ioGid,
    criuWorkPath: options.criuWorkPath,
  };
};

export const checkpointOptions = (any: Any | undefined): CheckpointOptions => {
  if (any === undefined || any.typeUrl === '') return CheckpointOptions.create();
  const options = unpackAny(any, CHECKPOINT_OPTIONS, CheckpointOptions);
  if (options === undefined) throw invalidArgument(`options of type ${any.typeUrl}, expected ${CHECKPOINT_OPTIONS}`);
  return options;
};
