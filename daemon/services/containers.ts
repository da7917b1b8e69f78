import { type Fields, mapField, present } from '../../common/filters.ts';
import { CodedError, codes } from '../../common/errdefs.ts';
import { requireNamespace } from '../../common/namespace.ts';
import { timestampFromNanos } from '../../common/timestamp.ts';
import {
  type Container as ContainerMessage,
  ContainersDefinition,
  type ListContainersRequest,
} from '../../proto/gen/containerd/services/containers/v1/containers.ts';
import { type Call, type Service, service } from '../call.ts';
import type { Container } from '../containers/store.ts';
import type { ContainerDraft } from '../containers/validate.ts';
import { type ContainerParts, createContainer, removeContainer, updateContainer } from '../containers/write.ts';
import { listFilter } from './list-filter.ts';

/** Containers read at once for a stream. Between two pages other calls have their turn. */
const PAGE = 64;

export const containersService = (parts: ContainerParts): Service =>
  service(ContainersDefinition, {
    get: ({ id }, call) => ({ container: toMessage(parts.containers.get(requireNamespace(call.namespace), id)) }),
    list: (request, call) => ({ containers: [...matching(parts, request, call)].map(toMessage) }),
    listStream: async function* (request, call) {
      for (const container of matching(parts, request, call)) yield { container: toMessage(container) };
    },
    create: async ({ container }, call) => {
      const namespace = requireNamespace(call.namespace);
      return { container: toMessage(await createContainer(parts, namespace, fromMessage(container))) };
    },
    update: async ({ container, updateMask }, call) => {
      if (container === undefined || container.id === '')
        throw new CodedError(codes.invalidArgument, 'Container.ID required');
      const namespace = requireNamespace(call.namespace);
      const updated = await updateContainer(parts, namespace, fromMessage(container), updateMask ?? []);
      return { container: toMessage(updated) };
    },
    delete: async ({ id }, call) => {
      await removeContainer(parts, requireNamespace(call.namespace), id);
      return {};
    },
  });

function* matching(parts: ContainerParts, { filters }: ListContainersRequest, call: Call): Generator<Container> {
  const namespace = requireNamespace(call.namespace);
  const filter = listFilter(filters);
  for (let after = ''; ;) {
    const page = parts.containers.list(namespace, { after, limit: PAGE });
    for (const container of page) if (filter(fields(container))) yield container;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    after = last.id;
  }
}

const fields =
  (container: Container): Fields =>
  ([first = '', ...rest]) => {
    switch (first) {
      case 'id':
        return container.id;
      case 'runtime':
        return rest[0] === 'name' ? container.runtime.name : undefined;
      case 'image':
        return present(container.image);
      case 'labels':
        return mapField(container.labels, rest);
      default:
        return undefined;
    }
  };

const toMessage = (container: Container): ContainerMessage => ({
  id: container.id,
  labels: new Map(container.labels),
  image: container.image,
  runtime: { ...container.runtime },
  spec: container.spec,
  snapshotter: container.snapshotter,
  snapshotKey: container.snapshotKey,
  createdAt: timestampFromNanos(container.createdAt),
  updatedAt: timestampFromNanos(container.updatedAt),
  extensions: new Map(container.extensions),
  sandbox: container.sandbox,
});

const fromMessage = (message: ContainerMessage | undefined): ContainerDraft => ({
  id: message?.id ?? '',
  labels: message?.labels ?? new Map(),
  image: message?.image ?? '',
  runtime: { name: message?.runtime?.name ?? '', options: message?.runtime?.options },
  spec: message?.spec,
  snapshotter: message?.snapshotter ?? '',
  snapshotKey: message?.snapshotKey ?? '',
  extensions: message?.extensions ?? new Map(),
  sandbox: message?.sandbox ?? '',
  createdAt: 0n,
  updatedAt: 0n,
});
