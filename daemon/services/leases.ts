import { randomBytes } from 'node:crypto';
import { invalidArgument } from '../../common/errdefs.ts';
import { type Fields, mapField } from '../../common/filters.ts';
import { withoutEmpty } from '../../common/labels.ts';
import { requireNamespace } from '../../common/namespace.ts';
import { timestampFromNanos } from '../../common/timestamp.ts';
import { nowNanos } from '../../native/index.ts';
import {
  type Lease as LeaseMessage,
  LeasesDefinition,
  type Resource,
} from '../../proto/gen/containerd/services/leases/v1/leases.ts';
import { type Service, service } from '../call.ts';
import type { LeaseResource } from '../leases/resource.ts';
import type { Lease, LeaseStore } from '../leases/store.ts';
import type { NamespaceStore } from '../namespaces/store.ts';
import type { Database } from '../store/database.ts';
import type { Collector } from '../gc/collector.ts';
import { listFilter } from './list-filter.ts';

export interface LeaseParts {
  readonly db: Database;
  readonly leases: LeaseStore;
  readonly namespaces: NamespaceStore;
  readonly collector: Pick<Collector, 'collect' | 'mutated'>;
}

export const leasesService = (parts: LeaseParts): Service => {
  /** One change of rows, on the disk before the reply. */
  const write = async (body: () => void): Promise<Record<string, never>> => {
    parts.db.transaction(body);
    await parts.db.durable();
    return {};
  };

  return service(LeasesDefinition, {
    create: async ({ id, labels }, call) => {
      const namespace = requireNamespace(call.namespace);
      const lease: Lease = { id: id === '' ? randomId() : id, createdAt: nowNanos(), labels: withoutEmpty(labels) };
      await write(() => {
        parts.namespaces.ensure(namespace);
        parts.leases.insert(namespace, lease);
      });
      return { lease: toMessage(lease) };
    },
    delete: async ({ id, sync }, call) => {
      const namespace = requireNamespace(call.namespace);
      await write(() => parts.leases.remove(namespace, id));
      parts.collector.mutated({ deleted: true });
      if (sync) await parts.collector.collect();
      return {};
    },
    list: ({ filters }, call) => {
      const namespace = requireNamespace(call.namespace);
      const filter = listFilter(filters);
      return {
        leases: parts.leases
          .list(namespace)
          .filter((lease) => filter(fields(lease)))
          .map(toMessage),
      };
    },
    addResource: ({ id, resource }, call) => {
      const namespace = requireNamespace(call.namespace);
      return write(() => parts.leases.addResource(namespace, id, required(resource)));
    },
    deleteResource: ({ id, resource }, call) => {
      const namespace = requireNamespace(call.namespace);
      return write(() => parts.leases.removeResource(namespace, id, required(resource)));
    },
    listResources: ({ id }, call) => ({
      resources: parts.leases.resources(requireNamespace(call.namespace), id),
    }),
  });
};

/** As containerd makes them: nanoseconds of the second and four letters. */
const randomId = (): string => `${nowNanos() % 1_000_000_000n}-${randomBytes(3).toString('base64url')}`;

const required = (resource: Resource | undefined): LeaseResource => {
  if (resource === undefined) throw invalidArgument('resource must be set');
  return resource;
};

const fields =
  (lease: Lease): Fields =>
  ([first, ...rest]) => {
    if (first === 'id') return lease.id;
    return first === 'labels' ? mapField(lease.labels, rest) : undefined;
  };

const toMessage = (lease: Lease): LeaseMessage => ({
  id: lease.id,
  createdAt: timestampFromNanos(lease.createdAt),
  labels: new Map(lease.labels),
});
