import { packAny } from '../common/any.ts';
import { SHIM_BINARY, SHIM_RUNTIME } from '../common/bootstrap.ts';
import { VERSION } from '../common/version.ts';
import { Options } from '../proto/gen/containerd/runc/v1/runc_options.ts';
import { RuntimeInfo } from '../proto/gen/containerd/types/types.ts';
import { Any } from '../proto/gen/google/protobuf/any.ts';
import { runcOptions } from './options.ts';
import { findBinary, run } from './runc/run.ts';

const FEATURES = 'types.containerd.io/opencontainers/runtime-spec/1/features/Features';
/** How long `runc features` may take, ms. */
const FEATURES_MS = 5_000;

/** What `-v` prints. */
export const versionText = (): string =>
  `${SHIM_BINARY}:\n  Version:  ${VERSION}\n  Runtime:  ${SHIM_RUNTIME}\n  Node version: ${process.version}\n`;

/** What `-info` prints: a RuntimeInfo. Standard input may hold an Any with the runtime's options. */
export const runtimeInfo = async (stdin: Uint8Array): Promise<Uint8Array> => {
  const any = stdin.length === 0 ? undefined : Any.decode(stdin);
  const options = runcOptions(any);
  const info = RuntimeInfo.create({
    name: SHIM_RUNTIME,
    version: { version: VERSION, revision: '' },
    ...(any === undefined ? {} : { options: packAny('containerd.runc.v1.Options', Options, options) }),
  });
  const binary = findBinary(options.binaryName || 'runc');
  // Runtimes that do not know the command are none the worse for it.
  const features = await run(binary, ['features'], { what: 'features', deadlineMs: FEATURES_MS }).catch(
    () => undefined,
  );
  if (features !== undefined) info.features = { typeUrl: FEATURES, value: Buffer.from(features) };
  return RuntimeInfo.encode(info).finish();
};
