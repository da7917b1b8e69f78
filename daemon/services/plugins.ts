import { arch, platform } from 'node:os';
import { join } from 'node:path';
import { codeOf, messageOf } from '../../common/errdefs.ts';
import type { Platform } from '../../proto/gen/containerd/types/types.ts';
import type { Plugin } from '../../proto/gen/containerd/services/introspection/v1/introspection.ts';
import { SNAPSHOTTER_PLUGIN, type SnapshotterPlugin } from '../snapshots/snapshots.ts';

const GRPC = 'io.containerd.grpc.v1';
const SERVICE = 'io.containerd.service.v1';
const METADATA = 'io.containerd.metadata.v1';
const CONTENT = 'io.containerd.content.v1';
const DIFFER = 'io.containerd.differ.v1';
const EVENT = 'io.containerd.event.v1';
const RUNTIME = 'io.containerd.runtime.v2';

export const RUNTIME_PLUGIN = { type: RUNTIME, id: 'task' } as const;

/**
 * What of containerd's plugins we are, under its names: clients look here for what they can use. Nothing is listed
 * that is not served.
 */
export const plugins = (root: string, snapshotters: readonly SnapshotterPlugin[]): readonly Plugin[] => [
  ...snapshotters.map(snapshotterPlugin),
  plugin(METADATA, 'sqlite', { exports: new Map([['path', join(root, 'metadata.db')]]) }),
  plugin(CONTENT, 'content', { exports: new Map([['root', join(root, 'io.containerd.content.v1.content')]]) }),
  plugin(DIFFER, 'walking', { requires: [METADATA], platforms: [here()] }),
  plugin(EVENT, 'exchange'),
  plugin(SERVICE, 'introspection-service'),
  plugin(SERVICE, 'containers-service', { requires: [EVENT, METADATA] }),
  plugin(SERVICE, 'content-service', { requires: [METADATA] }),
  plugin(SERVICE, 'diff-service', { requires: [DIFFER] }),
  plugin(SERVICE, 'images-service', { requires: [METADATA] }),
  plugin(SERVICE, 'leases-service', { requires: [METADATA] }),
  plugin(SERVICE, 'namespaces-service', { requires: [EVENT, METADATA] }),
  plugin(SERVICE, 'snapshots-service', { requires: [EVENT, METADATA] }),
  plugin(RUNTIME, RUNTIME_PLUGIN.id, { requires: [EVENT, METADATA], platforms: [here()] }),
  plugin(SERVICE, 'tasks-service', { requires: [EVENT, RUNTIME, METADATA] }),
  plugin(GRPC, 'introspection', { requires: [SERVICE] }),
  plugin(GRPC, 'containers', { requires: [SERVICE] }),
  plugin(GRPC, 'content', { requires: [SERVICE] }),
  plugin(GRPC, 'diff', { requires: [SERVICE] }),
  plugin(GRPC, 'events', { requires: [EVENT] }),
  plugin(GRPC, 'healthcheck'),
  plugin(GRPC, 'images', { requires: [SERVICE] }),
  plugin(GRPC, 'leases', { requires: [SERVICE] }),
  plugin(GRPC, 'namespaces', { requires: [SERVICE] }),
  plugin(GRPC, 'snapshots', { requires: [SERVICE] }),
  plugin(GRPC, 'tasks', { requires: [SERVICE] }),
  plugin(GRPC, 'version'),
];

type More = Partial<Pick<Plugin, 'requires' | 'platforms' | 'exports' | 'initErr'>>;

const plugin = (
  type: string,
  id: string,
  { requires = [], platforms = [], exports = new Map(), initErr }: More = {},
): Plugin => ({
  type,
  id,
  requires,
  platforms,
  exports,
  capabilities: [],
  initErr,
});

const snapshotterPlugin = ({ id, exports, local, failure }: SnapshotterPlugin): Plugin =>
  plugin(SNAPSHOTTER_PLUGIN, id, {
    platforms: local ? [here()] : [],
    exports: new Map(exports),
    initErr: failure === undefined ? undefined : { code: codeOf(failure), message: messageOf(failure), details: [] },
  });

/** Node's names of architectures to Go's. */
const ARCHITECTURES: ReadonlyMap<string, string> = new Map([['x64', 'amd64']]);

const here = (): Platform => ({
  os: platform(),
  architecture: ARCHITECTURES.get(arch()) ?? arch(),
  variant: '',
  osVersion: '',
  osFeatures: [],
});
