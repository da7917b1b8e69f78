// How a layer says that something below it is gone. Source: OCI image-spec, layer.md, Whiteouts.

/** A file `.wh.NAME` hides NAME of the layers below. */
export const WHITEOUT_PREFIX = '.wh.';

/** Hides everything that the layers below have in its directory. */
export const OPAQUE_MARKER = '.wh..wh..opq';

/** How overlayfs marks a directory that hides those below. Source: the kernel's overlayfs.rst. */
export const OVERLAY_OPAQUE = 'trusted.overlay.opaque';
