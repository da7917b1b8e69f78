import { checkIdentifier } from '../../common/identifiers.ts';
import { type Namespace, NamespacesDefinition } from '../../proto/gen/containerd/services/namespaces/v1/namespaces.ts';
import { type Service, service } from '../call.ts';
import { createNamespace, type NamespaceParts, removeNamespace, updateNamespace } from '../namespaces/write.ts';

export const namespacesService = (parts: NamespaceParts): Service => {
  const message = (name: string): Namespace => ({ name, labels: new Map(parts.namespaces.labels(name)) });
  return service(NamespacesDefinition, {
    get: ({ name }) => ({ namespace: message(name) }),
    // The request's `filter` is ignored, as in containerd.
    list: () => ({ namespaces: parts.namespaces.names().map(message) }),
    create: async ({ namespace }) => {
      const { name, labels } = required(namespace);
      await createNamespace(parts, name, labels);
      return { namespace: message(name) };
    },
    update: async ({ namespace, updateMask }) => {
      const { name, labels } = required(namespace);
      checkIdentifier(name);
      await updateNamespace(parts, name, labels, updateMask ?? []);
      return { namespace: message(name) };
    },
    delete: async ({ name }) => {
      await removeNamespace(parts, name);
      return {};
    },
  });
};

/** One that is missing has an empty name, which is refused as such. */
const required = (namespace: Namespace | undefined): Namespace => namespace ?? { name: '', labels: new Map() };
