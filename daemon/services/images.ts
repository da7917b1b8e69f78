import { CodedError, codes } from '../../common/errdefs.ts';
import { type Fields, mapField, present } from '../../common/filters.ts';
import { requireNamespace } from '../../common/namespace.ts';
import { nanosFromTimestamp, timestampFromNanos } from '../../common/timestamp.ts';
import { type Image as ImageMessage, ImagesDefinition } from '../../proto/gen/containerd/services/images/v1/images.ts';
import { type Call, type Service, service } from '../call.ts';
import type { Collector } from '../gc/collector.ts';
import type { Image } from '../images/store.ts';
import { createImage, type ImageDraft, type ImageParts, removeImage, updateImage } from '../images/write.ts';
import type { Holder } from '../leases/protect.ts';
import { listFilter } from './list-filter.ts';

export interface ImagesServiceParts extends ImageParts {
  readonly collector: Pick<Collector, 'collect' | 'mutated'>;
}

export const imagesService = (parts: ImagesServiceParts): Service =>
  service(ImagesDefinition, {
    get: ({ name }, call) => ({ image: toMessage(parts.images.get(requireNamespace(call.namespace), name)) }),
    list: ({ filters }, call) => {
      const namespace = requireNamespace(call.namespace);
      const filter = listFilter(filters);
      const images = parts.images.list(namespace).filter((image) => filter(fields(image)));
      return { images: images.map(toMessage) };
    },
    create: async ({ image, sourceDateEpoch }, call) => {
      const draft = named(image);
      return { image: toMessage(await createImage(parts, holderOf(call), draft, nanosFromTimestamp(sourceDateEpoch))) };
    },
    update: async ({ image, updateMask, sourceDateEpoch }, call) => {
      const draft = named(image);
      const how = { mask: updateMask ?? [], at: nanosFromTimestamp(sourceDateEpoch) };
      return { image: toMessage(await updateImage(parts, holderOf(call), draft, how)) };
    },
    delete: async ({ name, sync, target }, call) => {
      await removeImage(parts, holderOf(call), name, target?.digest ?? '');
      parts.collector.mutated({ deleted: true });
      if (sync) await parts.collector.collect();
      return {};
    },
  });

const holderOf = (call: Call): Holder => ({ namespace: requireNamespace(call.namespace), lease: call.lease });

const named = (image: ImageMessage | undefined): ImageDraft => {
  if (image === undefined || image.name === '') throw new CodedError(codes.invalidArgument, 'Image.Name required');
  const { mediaType = '', digest = '', size = 0n, annotations = new Map() } = image.target ?? {};
  return { name: image.name, labels: image.labels, target: { mediaType, digest, size, annotations } };
};

const fields =
  ({ name, target, labels }: Image): Fields =>
  ([first = '', ...rest]) => {
    switch (first) {
      case 'name':
        return present(name);
      case 'target':
        if (rest[0] === 'digest') return present(target.digest);
        return rest[0] === 'mediatype' ? present(target.mediaType) : undefined;
      case 'labels':
        return mapField(labels, rest);
      case 'annotations':
        return mapField(target.annotations, rest);
      default:
        return undefined;
    }
  };

const toMessage = (image: Image): ImageMessage => ({
  name: image.name,
  labels: new Map(image.labels),
  target: { ...image.target, annotations: new Map(image.target.annotations) },
  createdAt: timestampFromNanos(image.createdAt),
  updatedAt: timestampFromNanos(image.updatedAt),
});
