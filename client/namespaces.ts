import {
  NamespacesDefinition,
  type Namespace as NamespaceMessage,
} from '../proto/gen/containerd/services/namespaces/v1/namespaces.ts';
import type { Channel } from './channel.ts';

/** A tenant of the daemon: containers of different namespaces do not see each other, and may have equal ids. */
export interface Namespace {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
}

export class Namespaces {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  async list(signal?: AbortSignal): Promise<Namespace[]> {
    const { namespaces } = await this.#channel.call(NamespacesDefinition, 'list', {}, {}, signal);
    return namespaces;
  }

  /** Fails with notFound for a namespace that was never created, also if containers live in it. */
  async get(name: string, signal?: AbortSignal): Promise<Namespace> {
    const { namespace } = await this.#channel.call(NamespacesDefinition, 'get', { name }, {}, signal);
    return namespace ?? { name, labels: new Map() };
  }

  /** Fails with alreadyExists, and with invalidArgument for a name that is no identifier. */
  async create(name: string, labels: ReadonlyMap<string, string> = new Map(), signal?: AbortSignal): Promise<void> {
    await this.#channel.call(NamespacesDefinition, 'create', { namespace: message(name, labels) }, {}, signal);
  }

  /** Sets these labels and leaves the others; an empty value removes a label. Gives the namespace as it is now. */
  async label(name: string, labels: ReadonlyMap<string, string>, signal?: AbortSignal): Promise<Namespace> {
    const request = {
      namespace: message(name, labels),
      updateMask: [...labels.keys()].map((key) => `labels.${key}`),
    };
    const { namespace } = await this.#channel.call(NamespacesDefinition, 'update', request, {}, signal);
    return namespace ?? { name, labels };
  }

  /** Fails with failedPrecondition while something is left in it. */
  async delete(name: string, signal?: AbortSignal): Promise<void> {
    await this.#channel.call(NamespacesDefinition, 'delete', { name }, {}, signal);
  }
}

const message = (name: string, labels: ReadonlyMap<string, string>): NamespaceMessage => ({
  name,
  labels: new Map(labels),
});
