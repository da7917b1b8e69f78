import { unimplemented, unknownError } from '../../common/errdefs.ts';

export type Compression = 'none' | 'gzip' | 'zstd';

/** What a layer is once it is unpacked. Source: OCI image-spec, media-types.md. */
export const LAYER = 'application/vnd.oci.image.layer.v1.tar';
const NONDISTRIBUTABLE_LAYER = 'application/vnd.oci.image.layer.nondistributable.v1.tar';
const DOCKER_LAYERS: ReadonlySet<string> = new Set([
  'application/vnd.docker.image.rootfs.diff.tar',
  'application/vnd.docker.image.rootfs.foreign.diff.tar',
  'application/vnd.docker.image.rootfs.diff.tar.gzip',
  'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
]);

/**
 * How the bytes of a layer are to be read: as they are, or by what they begin with, because layers are often not
 * compressed as their type says. Unknown, in containerd's words: we know no such layers, encrypted ones among them.
 */
export const readingOf = (mediaType: string): 'as-is' | 'by-content' => {
  const [base = '', ...suffixes] = mediaType.split('+');
  if (!suffixes.includes('encrypted')) {
    if (base === LAYER || base === NONDISTRIBUTABLE_LAYER) {
      if (suffixes.length === 0) return 'as-is';
      if (suffixes.every((suffix) => suffix === 'gzip' || suffix === 'zstd')) return 'by-content';
    }
    if (DOCKER_LAYERS.has(base) && suffixes.length === 0) return 'by-content';
  }
  throw unknownError(`failed to get stream processor for ${mediaType}: no processor for media-type`);
};

const WRITTEN: ReadonlyMap<string, Compression> = new Map([
  [LAYER, 'none'],
  [`${LAYER}+gzip`, 'gzip'],
  [`${LAYER}+zstd`, 'zstd'],
]);

/** What a comparison gives if nothing is asked for. */
export const DEFAULT_LAYER = `${LAYER}+gzip`;

/** How a layer of a type is to be written. */
export const compressionFor = (mediaType: string): Compression => {
  const compression = WRITTEN.get(mediaType);
  if (compression === undefined) throw unimplemented(`unsupported diff media type: ${mediaType}`);
  return compression;
};

/** What a stream's first bytes say. Sources: RFC 1952 (gzip), RFC 8878 (zstd frames, skippable ones too). */
export const compressionOf = (start: Uint8Array): Compression => {
  const [a, b, c, d] = start;
  if (a === 0x1f && b === 0x8b && c === 0x08) return 'gzip';
  if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) return 'zstd';
  if (a !== undefined && (a & 0xf0) === 0x50 && b === 0x2a && c === 0x4d && d === 0x18) return 'zstd';
  return 'none';
};
