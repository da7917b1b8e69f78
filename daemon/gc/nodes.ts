import type { Labels } from '../../common/labels.ts';

/** What the collector knows of. A container is never collected; it only keeps what it uses. */
export type Kind = 'content' | 'snapshot' | 'image' | 'ingest' | 'lease' | 'container';

/** What can be collected. */
export type Collectable = Exclude<Kind, 'container'>;

/** A thing in a namespace. `key`: a digest, name, reference or id; of a snapshot `<snapshotter>/<name>`. */
export interface Node {
  readonly kind: Kind;
  readonly namespace: string;
  readonly key: string;
}

/** One string for a node; kinds and namespaces hold no NUL. */
export const nodeText = ({ kind, namespace, key }: Node): string => `${kind}\0${namespace}\0${key}`;

export const nodeOf = (text: string): Node => {
  const [kind = '', namespace = '', ...key] = text.split('\0');
  return { kind: kind as Kind, namespace, key: key.join('\0') }; // it was made by nodeText
};

/** Snapshotter and name of a snapshot's key; a name may hold slashes. */
export const splitSnapshotKey = (key: string): readonly [snapshotter: string, name: string] => {
  const at = key.indexOf('/');
  return [key.slice(0, at), key.slice(at + 1)];
};

/** Labels that the collector reads. Source: containerd's docs/garbage-collection.md. */
const ROOT_LABEL = 'containerd.io/gc.root';
const EXPIRE_LABEL = 'containerd.io/gc.expire';
const FLAT_LABEL = 'containerd.io/gc.flat';
const REF_PREFIX = 'containerd.io/gc.ref.';
const BACK_REF_PREFIX = 'containerd.io/gc.bref.';

/** Kept for its own sake, whatever the label's value. */
export const isRoot = (labels: Labels): boolean => labels.has(ROOT_LABEL);

/** A lease that keeps what it names, and not what that refers to. */
export const isFlat = (labels: Labels): boolean => labels.has(FLAT_LABEL);

/** The time is over that the labels give it; one that cannot be read as a time gives none, as in containerd. */
export const isExpired = (labels: Labels, nowMs: number): boolean => {
  const at = Date.parse(labels.get(EXPIRE_LABEL) ?? '');
  return Number.isFinite(at) && at < nowMs;
};

/** What a thing with these labels keeps. */
export const references = (namespace: string, labels: Labels): Node[] => byLabels(namespace, labels, REF_PREFIX);

/** What keeps a thing with these labels, as if that referred to it. */
export const backReferences = (namespace: string, labels: Labels): Node[] =>
  byLabels(namespace, labels, BACK_REF_PREFIX);

/**
 * `<prefix>content[.anything]` has a digest, `<prefix>snapshot.<snapshotter>[/anything]` a snapshot's name and
 * `<prefix>image[.anything]` an image's; `/` may stand for the dot before what is only there to tell labels apart.
 */
const byLabels = (namespace: string, labels: Labels, prefix: string): Node[] => {
  const found: Node[] = [];
  for (const [label, value] of labels) {
    if (!label.startsWith(prefix)) continue;
    const what = label.slice(prefix.length);
    if (/^content([./]|$)/.test(what)) found.push({ kind: 'content', namespace, key: value });
    else if (/^image([./]|$)/.test(what)) found.push({ kind: 'image', namespace, key: value });
    else if (what.startsWith('snapshot.')) {
      const [snapshotter = ''] = what.slice('snapshot.'.length).split('/');
      if (snapshotter !== '') found.push({ kind: 'snapshot', namespace, key: `${snapshotter}/${value}` });
    }
  }
  return found;
};
