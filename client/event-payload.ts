import { typeName } from '../common/any.ts';
import * as payloads from '../proto/gen/containerd/events/event_payloads.ts';
import { ImageCreate, ImageDelete, ImageUpdate } from '../proto/gen/containerd/services/images/v1/images.ts';
import type { Any } from '../proto/gen/google/protobuf/any.ts';

/** The payloads that are known, by their full protobuf name. */
const codecs = {
  'containerd.events.ContainerCreate': payloads.ContainerCreate,
  'containerd.events.ContainerUpdate': payloads.ContainerUpdate,
  'containerd.events.ContainerDelete': payloads.ContainerDelete,
  'containerd.events.ContentCreate': payloads.ContentCreate,
  'containerd.events.ContentDelete': payloads.ContentDelete,
  'containerd.events.NamespaceCreate': payloads.NamespaceCreate,
  'containerd.events.NamespaceUpdate': payloads.NamespaceUpdate,
  'containerd.events.NamespaceDelete': payloads.NamespaceDelete,
  'containerd.events.SandboxCreate': payloads.SandboxCreate,
  'containerd.events.SandboxStart': payloads.SandboxStart,
  'containerd.events.SandboxExit': payloads.SandboxExit,
  'containerd.events.SnapshotPrepare': payloads.SnapshotPrepare,
  'containerd.events.SnapshotCommit': payloads.SnapshotCommit,
  'containerd.events.SnapshotRemove': payloads.SnapshotRemove,
  'containerd.events.TaskCreate': payloads.TaskCreate,
  'containerd.events.TaskStart': payloads.TaskStart,
  'containerd.events.TaskOOM': payloads.TaskOOM,
  'containerd.events.TaskExit': payloads.TaskExit,
  'containerd.events.TaskDelete': payloads.TaskDelete,
  'containerd.events.TaskExecAdded': payloads.TaskExecAdded,
  'containerd.events.TaskExecStarted': payloads.TaskExecStarted,
  'containerd.events.TaskPaused': payloads.TaskPaused,
  'containerd.events.TaskResumed': payloads.TaskResumed,
  'containerd.events.TaskCheckpointed': payloads.TaskCheckpointed,
  'containerd.services.images.v1.ImageCreate': ImageCreate,
  'containerd.services.images.v1.ImageUpdate': ImageUpdate,
  'containerd.services.images.v1.ImageDelete': ImageDelete,
} as const;

type Name = keyof typeof codecs;

/** A payload with its name: comparing `type` tells TypeScript which `value` it is. */
export type EventPayload =
  | { [K in Name]: { readonly type: K; readonly value: ReturnType<(typeof codecs)[K]['decode']> } }[Name]
  | { readonly type: 'unknown'; readonly value: Any | undefined };

/** Decodes what is known; anything else, or bytes that are not what their name says, stays as it came. */
export const decodePayload = (any: Any | undefined): EventPayload => {
  const name = any === undefined ? '' : typeName(any);
  if (any === undefined || !isKnown(name)) return { type: 'unknown', value: any };
  try {
    return { type: name, value: codecs[name].decode(any.value) } as EventPayload; // the name chose the codec
  } catch {
    return { type: 'unknown', value: any };
  }
};

const isKnown = (name: string): name is Name => Object.hasOwn(codecs, name);
