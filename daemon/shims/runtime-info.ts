import { packAny, unpackAny } from '../../common/any.ts';
import { invalidArgument } from '../../common/errdefs.ts';
import { RuntimeInfo, RuntimeRequest } from '../../proto/gen/containerd/types/types.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import { resolveRuntime } from './runtime-names.ts';
import { infoByCommand } from './shim-command.ts';
import { commandOf, type SpawnParts } from './spawn.ts';

/** How long a shim may take to say what it can, ms. */
const INFO_MS = 10_000;
/** The runtime that a request without a name is about. */
const DEFAULT_RUNTIME = 'io.containerd.runc.v2';

/** What a runtime can: a RuntimeRequest in, the RuntimeInfo that its shim prints out. */
export const runtimeInfo = async (
  parts: SpawnParts,
  configured: ReadonlyMap<string, string>,
  request: Any,
): Promise<Any> => {
  const asked = unpackAny(request, 'containerd.types.RuntimeRequest', RuntimeRequest);
  if (asked === undefined) throw invalidArgument(`${request.typeUrl} is no RuntimeRequest`);
  const runtime = resolveRuntime(asked.runtimePath || DEFAULT_RUNTIME, configured);
  const command = commandOf(parts, runtime.kind === 'own' ? '' : runtime.binary);
  const info = RuntimeInfo.decode(await infoByCommand(command, asked.options, INFO_MS));
  return packAny('containerd.types.RuntimeInfo', RuntimeInfo, info);
};
