import { packAny } from '../../common/any.ts';
import { about, invalidArgument, notFound } from '../../common/errdefs.ts';
import { applyMapPath } from '../../common/field-mask.ts';
import { withoutEmpty } from '../../common/labels.ts';
import { nowNanos } from '../../native/index.ts';
import { ContainerCreate, ContainerDelete, ContainerUpdate } from '../../proto/gen/containerd/events/event_payloads.ts';
import type { EventLog } from '../events/log.ts';
import type { NamespaceStore } from '../namespaces/store.ts';
import type { Database } from '../store/database.ts';
import type { Container, ContainerStore } from './store.ts';
import { type ContainerDraft, validateContainer } from './validate.ts';

export interface ContainerParts {
  readonly db: Database;
  readonly events: EventLog;
  readonly containers: ContainerStore;
  readonly namespaces: NamespaceStore;
}

/** The row and its event are one transaction; the reply waits for the disk. */
export const createContainer = async (
  parts: ContainerParts,
  namespace: string,
  draft: ContainerDraft,
): Promise<Container> => {
  const now = nowNanos();
  const container = validated('create container failed validation', {
    ...draft,
    labels: withoutEmpty(draft.labels),
    createdAt: now,
    updatedAt: now,
  });
  parts.db.transaction(() => {
    parts.namespaces.ensure(namespace);
    parts.containers.insert(namespace, container);
    parts.events.append({
      namespace,
      topic: '/containers/create',
      timestampNanos: now,
      payload: packAny('containerd.events.ContainerCreate', ContainerCreate, {
        id: container.id,
        image: container.image,
        runtime: { name: container.runtime.name, options: container.runtime.options },
      }),
    });
  });
  await parts.events.publish();
  return container;
};

/** `mask`: the fields to change; an empty one replaces all that may change. */
export const updateContainer = async (
  parts: ContainerParts,
  namespace: string,
  wanted: ContainerDraft,
  mask: readonly string[],
): Promise<Container> => {
  if (wanted.id === '') throw invalidArgument('must specify a container id');
  const now = nowNanos();
  const updated = parts.db.transaction(() => {
    const before = parts.containers.find(namespace, wanted.id);
    if (before === undefined) throw notFound('container', wanted.id);
    const masked = applyMask(before, wanted, mask);
    const container = validated('update failed validation', {
      ...masked,
      labels: withoutEmpty(masked.labels),
      updatedAt: now,
    });
    parts.containers.update(namespace, container);
    parts.events.append({
      namespace,
      topic: '/containers/update',
      timestampNanos: now,
      payload: packAny('containerd.events.ContainerUpdate', ContainerUpdate, {
        id: container.id,
        image: container.image,
        labels: new Map(container.labels),
        snapshotKey: container.snapshotKey,
      }),
    });
    return container;
  });
  await parts.events.publish();
  return updated;
};

/** A container whose task runs may be deleted, as in containerd: it is the client that looks first. */
export const removeContainer = async (parts: ContainerParts, namespace: string, id: string): Promise<void> => {
  parts.db.transaction(() => {
    parts.containers.remove(namespace, id);
    parts.events.append({
      namespace,
      topic: '/containers/delete',
      timestampNanos: nowNanos(),
      payload: packAny('containerd.events.ContainerDelete', ContainerDelete, { id }),
    });
  });
  await parts.events.publish();
};

const validated = (subject: string, draft: ContainerDraft): Container => {
  try {
    return validateContainer(draft);
  } catch (error) {
    throw about(subject, error);
  }
};

/** What an update without a mask replaces. The rest may not change, and a client that tries is told. */
const MUTABLE = ['labels', 'spec', 'extensions', 'image', 'snapshotkey'];

const applyMask = (before: Container, wanted: ContainerDraft, mask: readonly string[]): ContainerDraft => {
  if (mask.length === 0) {
    if (before.snapshotter !== wanted.snapshotter) throw invalidArgument('container.Snapshotter field is immutable');
    if (before.runtime.name !== wanted.runtime.name) throw invalidArgument('container.Runtime.Name field is immutable');
  }
  const paths = mask.length === 0 ? MUTABLE : mask;
  return paths.reduce<ContainerDraft>((draft, path) => applyPath(draft, wanted, path), before);
};

const applyPath = (draft: ContainerDraft, wanted: ContainerDraft, path: string): ContainerDraft => {
  switch (path) {
    case 'spec':
      return { ...draft, spec: wanted.spec };
    case 'image':
      return { ...draft, image: wanted.image };
    case 'snapshotkey':
      return { ...draft, snapshotKey: wanted.snapshotKey };
    default: {
      const labels = applyMapPath('labels', path, draft.labels, wanted.labels);
      if (labels !== undefined) return { ...draft, labels };
      const extensions = applyMapPath('extensions', path, draft.extensions, wanted.extensions);
      if (extensions !== undefined) return { ...draft, extensions };
      throw invalidArgument(`cannot update ${JSON.stringify(path)} field on ${JSON.stringify(draft.id)}`);
    }
  }
};
