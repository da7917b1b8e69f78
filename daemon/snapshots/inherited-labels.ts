import type { Labels } from '../../common/labels.ts';

/** Names the committed snapshot that a Prepare is after, for snapshotters that can fetch it by themselves. */
export const SNAPSHOT_REF_LABEL = 'containerd.io/snapshot.ref';

const INHERITED_PREFIX = 'containerd.io/snapshot/';

/** The labels that a snapshotter may see; all others are between the client and us. */
export const inheritedLabels = (labels: Labels): Labels =>
  new Map([...labels].filter(([key]) => key === SNAPSHOT_REF_LABEL || key.startsWith(INHERITED_PREFIX)));
