import { codeOf, codes } from '../common/errdefs.ts';
import {
  IntrospectionDefinition,
  type Plugin as PluginMessage,
} from '../proto/gen/containerd/services/introspection/v1/introspection.ts';
import { VersionDefinition } from '../proto/gen/containerd/services/version/v1/version.ts';
import { HealthDefinition, HealthCheckResponse_ServingStatus } from '../proto/gen/grpc/health/v1/health.ts';
import type { Channel } from './channel.ts';

export interface ServerVersion {
  readonly version: string;
  readonly revision: string;
}

export interface ServerIdentity {
  /** Of the daemon's root: stays the same over restarts. */
  readonly uuid: string;
  /** The daemon's process, as seen from its pid namespace; undefined where the daemon does not say (containerd 1.6). */
  readonly pid: number | undefined;
  /** Inode of the daemon's pid namespace, likewise. */
  readonly pidNamespace: bigint | undefined;
}

export interface Plugin {
  /** `io.containerd.runtime.v2` */
  readonly type: string;
  readonly id: string;
  /** Why it does not work; undefined: it does. */
  readonly error: string | undefined;
  /** What it tells of itself: `path` of the metadata's database, `root` of a store's directory. */
  readonly exports: ReadonlyMap<string, string>;
}

/** What the daemon says about itself. */
export class Server {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  version(signal?: AbortSignal): Promise<ServerVersion> {
    return this.#channel.call(VersionDefinition, 'version', {}, {}, signal);
  }

  async identity(signal?: AbortSignal): Promise<ServerIdentity> {
    const { uuid, pid, pidns } = await this.#channel.call(IntrospectionDefinition, 'server', {}, {}, signal);
    return { uuid, pid: pid === 0n ? undefined : Number(pid), pidNamespace: pidns === 0n ? undefined : pidns };
  }

  /** `filters` as containerd writes them: `type==io.containerd.runtime.v2`; several: any of them. */
  async plugins(filters: readonly string[] = [], signal?: AbortSignal): Promise<Plugin[]> {
    const request = { filters: [...filters] };
    const { plugins } = await this.#channel.call(IntrospectionDefinition, 'plugins', request, {}, signal);
    return plugins.map(pluginOf);
  }

  /** Whether the daemon answers and has loaded its containers. A daemon without a health service (14): false. */
  async isServing(signal?: AbortSignal): Promise<boolean> {
    try {
      const { status } = await this.#channel.call(HealthDefinition, 'check', {}, {}, signal);
      return status === HealthCheckResponse_ServingStatus.SERVING;
    } catch (error) {
      if (codeOf(error) === codes.unavailable) return false;
      throw error;
    }
  }
}

const pluginOf = ({ type, id, initErr, exports }: PluginMessage): Plugin => ({
  type,
  id,
  error: initErr === undefined ? undefined : initErr.message,
  exports,
});
