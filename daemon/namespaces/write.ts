import { packAny } from '../../common/any.ts';
import { CodedError, codes } from '../../common/errdefs.ts';
import type { Labels } from '../../common/labels.ts';
import { nowNanos } from '../../native/index.ts';
import { NamespaceCreate, NamespaceDelete, NamespaceUpdate } from '../../proto/gen/containerd/events/event_payloads.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import type { EventLog } from '../events/log.ts';
import type { Database } from '../store/database.ts';
import type { NamespaceStore } from './store.ts';

export interface NamespaceParts {
  readonly db: Database;
  readonly events: EventLog;
  readonly namespaces: NamespaceStore;
}

export const createNamespace = (parts: NamespaceParts, name: string, labels: Labels): Promise<void> =>
  write(parts, name, '/namespaces/create', () => {
    parts.namespaces.create(name, labels);
    return packAny('containerd.events.NamespaceCreate', NamespaceCreate, { name, labels: new Map(labels) });
  });

/** `mask`: paths `labels.<key>`; an empty one replaces all labels. */
export const updateNamespace = (
  parts: NamespaceParts,
  name: string,
  wanted: Labels,
  mask: readonly string[],
): Promise<void> =>
  write(parts, name, '/namespaces/update', () => {
    for (const [key, value] of changes(parts.namespaces.labels(name), wanted, mask)) {
      parts.namespaces.setLabel(name, key, value);
    }
    return packAny('containerd.events.NamespaceUpdate', NamespaceUpdate, { name, labels: new Map(wanted) });
  });

export const removeNamespace = (parts: NamespaceParts, name: string): Promise<void> =>
  write(parts, name, '/namespaces/delete', () => {
    parts.namespaces.remove(name);
    return packAny('containerd.events.NamespaceDelete', NamespaceDelete, { name });
  });

/** A namespace's events are in that namespace, as in containerd 2; 1.6 put some into the caller's. */
const write = async (parts: NamespaceParts, namespace: string, topic: string, body: () => Any): Promise<void> => {
  parts.db.transaction(() => {
    const payload = body();
    parts.events.append({ namespace, topic, timestampNanos: nowNanos(), payload });
  });
  await parts.events.publish();
};

const LABEL_PATH = 'labels.';

/** Key → value to set; an empty value takes the label away. */
const changes = (current: Labels, wanted: Labels, mask: readonly string[]): Labels => {
  if (mask.length === 0) return new Map([...[...current.keys()].map((key): [string, string] => [key, '']), ...wanted]);
  return new Map(
    mask.map((path) => {
      if (!path.startsWith(LABEL_PATH))
        throw new CodedError(codes.invalidArgument, `cannot update ${JSON.stringify(path)} field`);
      const key = path.slice(LABEL_PATH.length);
      return [key, wanted.get(key) ?? ''];
    }),
  );
};
