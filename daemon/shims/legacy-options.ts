import { packAny, unpackAny } from '../../common/any.ts';
import { CreateOptions, RuncOptions } from '../../proto/gen/containerd/linux/runc/runc_v1.ts';
import { Options } from '../../proto/gen/containerd/runc/v1/runc_options.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';

const OPTIONS = 'containerd.runc.v1.Options';

/**
 * The options for a shim of ours: those of the Create, or else the container's. The two halves that containerd's runtime
 * v1 had, one at the container and one in the Create, are put together as the one message that took their place.
 */
export const ownOptions = (container: Any | undefined, create: Any | undefined): Any | undefined => {
  const runtime = unpackAny(container, 'containerd.linux.runc.RuncOptions', RuncOptions);
  const options = unpackAny(create ?? container, 'containerd.linux.runc.CreateOptions', CreateOptions);
  if (runtime === undefined && options === undefined) return create ?? container;
  // A modern half beside an old one is taken as it is; what is in neither has its default.
  const modern = unpackAny(create, OPTIONS, Options) ?? unpackAny(container, OPTIONS, Options) ?? Options.create();
  return packAny(OPTIONS, Options, {
    ...modern,
    ...(runtime === undefined
      ? {}
      : { binaryName: runtime.runtime, root: runtime.runtimeRoot, systemdCgroup: runtime.systemdCgroup }),
    ...(options === undefined
      ? {}
      : {
          noPivotRoot: options.noPivotRoot,
          noNewKeyring: options.noNewKeyring,
          shimCgroup: options.shimCgroup,
          ioUid: options.ioUid,
          ioGid: options.ioGid,
          criuWorkPath: options.criuWorkPath,
          criuImagePath: options.criuImagePath,
        }),
  });
};
