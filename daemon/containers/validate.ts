import { about, invalidArgument } from '../../common/errdefs.ts';
import { checkIdentifier } from '../../common/identifiers.ts';
import { checkLabels } from '../../common/labels.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import type { Container } from './store.ts';

/** A container as a client may send it: the spec can be missing. */
export type ContainerDraft = Omit<Container, 'spec'> & { readonly spec: Any | undefined };

/** Refuses what containerd refuses, in its words. */
export const validateContainer = (draft: ContainerDraft): Container => {
  try {
    checkIdentifier(draft.id);
  } catch (error) {
    throw about('container.ID', error);
  }
  if (draft.extensions.has('')) throw invalidArgument('container.Extension keys must not be zero-length');
  checkLabels('containers.Labels', draft.labels);
  if (draft.runtime.name === '') throw invalidArgument('container.Runtime.Name must be set');
  const { spec } = draft;
  if (spec === undefined) throw invalidArgument('container.Spec must be set');
  if (draft.snapshotKey !== '' && draft.snapshotter === '') {
    throw invalidArgument('container.Snapshotter must be set if container.SnapshotKey is set');
  }
  return { ...draft, spec };
};
