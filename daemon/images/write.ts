import { packAny } from '../../common/any.ts';
import { invalidArgument, notFound } from '../../common/errdefs.ts';
import { applyMapPath } from '../../common/field-mask.ts';
import { withoutEmpty } from '../../common/labels.ts';
import { nowNanos } from '../../native/index.ts';
import { ImageCreate, ImageDelete, ImageUpdate } from '../../proto/gen/containerd/services/images/v1/images.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import type { EventLog } from '../events/log.ts';
import { type Holder, protect, release } from '../leases/protect.ts';
import type { LeaseStore } from '../leases/store.ts';
import type { NamespaceStore } from '../namespaces/store.ts';
import type { Database } from '../store/database.ts';
import type { Image, ImageStore } from './store.ts';
import { validateImage } from './validate.ts';

export interface ImageParts {
  readonly db: Database;
  readonly events: EventLog;
  readonly namespaces: NamespaceStore;
  readonly leases: LeaseStore;
  readonly images: ImageStore;
}

/** An image as a client sends it; the times are ours. */
export type ImageDraft = Omit<Image, 'createdAt' | 'updatedAt'>;

/** An image with this label goes when its time comes, unless a lease holds it; others need none. */
const EXPIRE_LABEL = 'containerd.io/gc.expire';

/** `at`: what to call its times, for images that are to be the same whenever they are built; 0n: now. */
export const createImage = async (parts: ImageParts, holder: Holder, draft: ImageDraft, at: bigint): Promise<Image> => {
  const time = at === 0n ? nowNanos() : at;
  const image = kept({ ...draft, createdAt: time, updatedAt: time });
  validateImage({ ...image, labels: draft.labels });
  await write(parts, holder, '/images/create', () => {
    parts.namespaces.ensure(holder.namespace);
    leaseExpiring(parts, holder, image);
    parts.images.insert(holder.namespace, image);
    return packAny('containerd.services.images.v1.ImageCreate', ImageCreate, {
      name: image.name,
      labels: new Map(image.labels),
    });
  });
  return image;
};

/** `mask`: the fields to change; an empty one replaces all. Throws NotFound. */
export const updateImage = async (
  parts: ImageParts,
  holder: Holder,
  wanted: ImageDraft,
  { mask, at }: { readonly mask: readonly string[]; readonly at: bigint },
): Promise<Image> => {
  const { namespace } = holder;
  let updated: Image | undefined;
  await write(parts, holder, '/images/update', () => {
    const before = parts.images.get(namespace, wanted.name);
    const draft =
      mask.length === 0 ? wanted : mask.reduce<ImageDraft>((to, path) => applyPath(to, wanted, path), before);
    const image = { ...draft, createdAt: before.createdAt, updatedAt: at === 0n ? nowNanos() : at };
    validateImage(image);
    updated = kept(image);
    leaseExpiring(parts, holder, updated);
    parts.images.update(namespace, updated);
    const { name, labels } = updated;
    return packAny('containerd.services.images.v1.ImageUpdate', ImageUpdate, { name, labels: new Map(labels) });
  });
  if (updated === undefined) throw notFound('image', wanted.name);
  return updated;
};

/** `digest`: only if it still stands for that; '': whatever it stands for. Throws NotFound. */
export const removeImage = (parts: ImageParts, holder: Holder, name: string, digest: string): Promise<void> =>
  write(parts, holder, '/images/delete', () => {
    const { target } = parts.images.get(holder.namespace, name);
    if (digest !== '' && digest !== target.digest) {
      throw notFound(`image ${JSON.stringify(name)} has target ${target.digest}, not ${digest}`);
    }
    release(parts.leases, holder, { type: 'images', id: name });
    parts.images.remove(holder.namespace, name);
    return packAny('containerd.services.images.v1.ImageDelete', ImageDelete, { name });
  });

/** The rows and their event are one transaction; the reply waits for the disk. */
const write = async (
  { db, events }: ImageParts,
  { namespace }: Holder,
  topic: string,
  body: () => Any,
): Promise<void> => {
  db.transaction(() => {
    const payload = body();
    events.append({ namespace, topic, timestampNanos: nowNanos(), payload });
  });
  await events.publish();
};

const leaseExpiring = ({ leases }: ImageParts, holder: Holder, { name, labels }: Image): void => {
  if (labels.has(EXPIRE_LABEL)) protect(leases, holder, { type: 'images', id: name });
};

/** As it is kept: an empty value is how a label, or an annotation, is taken away. */
const kept = (image: Image): Image => ({
  ...image,
  labels: withoutEmpty(image.labels),
  target: { ...image.target, annotations: withoutEmpty(image.target.annotations) },
});

const applyPath = (draft: ImageDraft, wanted: ImageDraft, path: string): ImageDraft => {
  if (path === 'target') return { ...draft, target: wanted.target };
  const labels = applyMapPath('labels', path, draft.labels, wanted.labels);
  if (labels !== undefined) return { ...draft, labels };
  const annotations = applyMapPath('annotations', path, draft.target.annotations, wanted.target.annotations);
  if (annotations !== undefined) return { ...draft, target: { ...draft.target, annotations } };
  throw invalidArgument(`cannot update ${JSON.stringify(path)} field on image ${JSON.stringify(draft.name)}`);
};
