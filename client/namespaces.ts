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
  /** A containerd publishes its events about namespaces in the caller's, and refuses one who has none. */
  readonly #scope: { readonly namespace: string };

  constructor(channel: Channel, namespace: string) {
    this.#channel = channel;
    this.#scope = { namespace };
  }

  async list(signal?: AbortSignal): Promise<Namespace[]> {
    const { namespaces } = await this.#channel.call(NamespacesDefinition, 'list', {}, this.#scope, signal);
    return namespaces;
  }

  /** One that was never created has no labels, and is no error; `list` tells. */
  async get(name: string, signal?: AbortSignal): Promise<Namespace> {
    const { namespace } = await this.#channel.call(NamespacesDefinition, 'get', { name }, this.#scope, signal);
    return namespace ?? { name, labels: new Map() };
  }

  /** Fails with alreadyExists, and with invalidArgument for a name that is no identifier. */
  async create(name: string, labels: ReadonlyMap<string, string> = new Map(), signal?: AbortSignal): Promise<void> {
    await this.#channel.call(NamespacesDefinition, 'create', { namespace: message(name, labels) }, this.#scope, signal);
  }

  /** Sets these labels and leaves the others; an empty value removes a label. Gives the namespace as it is now. */
  async label(name: string, labels: ReadonlyMap<string, string>, signal?: AbortSignal): Promise<Namespace> {
    const request = {
      namespace: message(name, labels),
      updateMask: [...labels.keys()].map((key) => `labels.${key}`),
    };
    await this.#channel.call(NamespacesDefinition, 'update', request, this.#scope, signal);
    return this.get(name, signal); // containerd 1.6 answers without labels
  }

  /** Fails with failedPrecondition while something is left in it. */
  async delete(name: string, signal?: AbortSignal): Promise<void> {
    await this.#channel.call(NamespacesDefinition, 'delete', { name }, this.#scope, signal);
  }
}

const message = (name: string, labels: ReadonlyMap<string, string>): NamespaceMessage => ({
  name,
  labels: new Map(labels),
});
