import { statSync } from 'node:fs';
import { notFound, unimplemented } from '../../common/errdefs.ts';
import { type Fields, present } from '../../common/filters.ts';
import {
  IntrospectionDefinition,
  type Plugin,
} from '../../proto/gen/containerd/services/introspection/v1/introspection.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import { type Service, service } from '../call.ts';
import type { SnapshotterPlugin } from '../snapshots/snapshots.ts';
import { listFilter } from './list-filter.ts';
import { plugins, RUNTIME_PLUGIN } from './plugins.ts';

export interface IntrospectionParts {
  readonly uuid: string;
  readonly root: string;
  readonly snapshotters: readonly SnapshotterPlugin[];
  /** Answers for the runtime plugin: RuntimeRequest in, RuntimeInfo out. */
  readonly runtimeInfo: ((request: Any) => Promise<Any>) | undefined;
}

export const introspectionService = ({ uuid, root, snapshotters, runtimeInfo }: IntrospectionParts): Service => {
  const all = plugins(root, snapshotters);
  return service(IntrospectionDefinition, {
    plugins: ({ filters }) => {
      const filter = listFilter(filters);
      return { plugins: all.filter((plugin) => filter(fields(plugin))) };
    },
    server: () => ({
      uuid,
      pid: BigInt(process.pid),
      pidns: statSync('/proc/self/ns/pid', { bigint: true }).ino,
      deprecations: [],
    }),
    pluginInfo: async ({ type, id, options }) => {
      const plugin = all.find((one) => one.type === type && one.id === id);
      if (plugin === undefined) throw notFound(`plugin ${type}.${id} not found`);
      if (options === undefined) return { plugin, extra: undefined };
      const isRuntime = type === RUNTIME_PLUGIN.type && id === RUNTIME_PLUGIN.id;
      if (!isRuntime || runtimeInfo === undefined) throw unimplemented('plugin does not provided extra information');
      return { plugin, extra: await runtimeInfo(options) };
    },
  });
};

const fields =
  (plugin: Plugin): Fields =>
  ([first]) => {
    if (first === 'type') return present(plugin.type);
    return first === 'id' ? present(plugin.id) : undefined; // platforms and capabilities are lists: containerd has no match for them
  };
