import { jsonTypes } from '../common/any.ts';
import { checkIdentifier } from '../common/identifiers.ts';
import { ContainersDefinition } from '../proto/gen/containerd/services/containers/v1/containers.ts';
import type { Any } from '../proto/gen/google/protobuf/any.ts';
import type { Channel } from './channel.ts';
import { Container, emptyContainer, infoOf, type ContainerInfo } from './container.ts';
import { jsonAny } from './json-any.ts';
import type { Spec } from './spec/runtime-spec.ts';

/** What clients of containerd ask for; the daemon decides which shim serves it. */
export const DEFAULT_RUNTIME = 'io.containerd.runc.v2';

export interface NewContainer {
  /** Letters and digits, with single `.`, `_` or `-` between them; at most 76 characters. */
  readonly id: string;
  readonly spec: Spec;
  readonly labels?: ReadonlyMap<string, string>;
  /** For people: what the root file system was made of. */
  readonly image?: string;
  /** Default: `DEFAULT_RUNTIME`. An absolute path names a shim binary. */
  readonly runtime?: string;
  /** Options in the runtime's own type, `containerd.runc.v1.Options` for runc. */
  readonly runtimeOptions?: Any;
  readonly snapshotter?: string;
  readonly snapshotKey?: string;
}

/** The containers of a namespace. */
export class Containers {
  readonly #channel: Channel;
  readonly #namespace: string;

  constructor(channel: Channel, namespace: string) {
    this.#channel = channel;
    this.#namespace = namespace;
  }

  /** Fails with alreadyExists, and with invalidArgument for an id that is no identifier. Nothing runs yet. */
  async create(what: NewContainer, signal?: AbortSignal): Promise<Container> {
    const container = {
      ...emptyContainer(checkIdentifier(what.id)),
      labels: new Map(what.labels),
      image: what.image ?? '',
      runtime: { name: what.runtime ?? DEFAULT_RUNTIME, options: what.runtimeOptions },
      spec: jsonAny(jsonTypes.spec, what.spec),
      snapshotter: what.snapshotter ?? '',
      snapshotKey: what.snapshotKey ?? '',
    };
    await this.#channel.call(ContainersDefinition, 'create', { container }, this.#scope, signal);
    return this.of(what.id);
  }

  /** Fails with notFound. */
  async get(id: string, signal?: AbortSignal): Promise<Container> {
    const container = this.of(id);
    await container.info(signal);
    return container;
  }

  /**
   * `filters` as containerd writes them: `labels.tier==web`, `id~=^a`; several: any of them.
   * As a stream where the daemon has one: thousands of containers do not fit into one message.
   */
  async *list(filters: readonly string[] = [], signal?: AbortSignal): AsyncGenerator<ContainerInfo, void, undefined> {
    const request = { filters: [...filters] };
    for await (const { container } of this.#channel.stream(
      ContainersDefinition,
      'listStream',
      request,
      this.#scope,
      signal,
    )) {
      if (container !== undefined) yield infoOf(container);
    }
  }

  /** Names a container; nothing is asked of the daemon. */
  of(id: string): Container {
    return new Container(this.#channel, this.#namespace, id);
  }

  get #scope(): { readonly namespace: string } {
    return { namespace: this.#namespace };
  }
}
