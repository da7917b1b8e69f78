import type { Service } from './call.ts';
import type { Core } from './core.ts';
import { type ImageStore, imageStore } from './images/store.ts';
import { imagesService, type ImagesServiceParts } from './services/images.ts';

/** What the daemon's other parts need of the one that names images. */
export interface ImagesPart {
  readonly services: readonly Service[];
  readonly images: ImageStore;
}

/** Puts together the part of the daemon that names images. `collector`: what a delete with `sync` waits for. */
export const makeImages = (core: Core, { collector }: Pick<ImagesServiceParts, 'collector'>): ImagesPart => {
  const { db, events, namespaces, leases } = core;
  const images = imageStore(db);
  return { services: [imagesService({ db, events, namespaces, leases, images, collector })], images };
};
