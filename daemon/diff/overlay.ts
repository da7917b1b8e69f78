import type { Mount } from '../../proto/gen/containerd/types/types.ts';

/** Directories of an overlay mount. */
export interface Overlay {
  readonly upper: string | undefined;
  /** Uppermost first. */
  readonly lower: readonly string[];
}

/** undefined: the mounts are not one overlay. */
export const overlayOf = (mounts: readonly Mount[]): Overlay | undefined => {
  const [only, ...more] = mounts;
  if (only?.type !== 'overlay' || more.length > 0 || only.target !== '') return undefined;
  const value = (prefix: string): string | undefined =>
    only.options.findLast((option) => option.startsWith(prefix))?.slice(prefix.length);
  const upper = value('upperdir=');
  return { upper: upper === '' ? undefined : upper, lower: value('lowerdir=')?.split(':') ?? [] };
};

/** The same tree, which nobody can write to: an overlay's upper directory becomes its uppermost lower one. */
export const readOnly = (mounts: readonly Mount[]): Mount[] =>
  mounts.map((one) => {
    const options = one.options.filter((option) => option !== 'rw' && option !== 'ro');
    const overlay = overlayOf([one]);
    if (overlay?.upper === undefined) return { ...one, options: [...options, 'ro'] };
    const lower = [overlay.upper, ...overlay.lower];
    const rest = options.filter((option) => !/^(upperdir|workdir|lowerdir)=/.test(option));
    return { ...one, options: [...rest, `lowerdir=${lower.join(':')}`, 'ro'] };
  });

/** Whether `right` is an overlay on just what `left` shows, so that its upper directory is the difference. */
export const upperDirectoryOn = (left: readonly Mount[], right: readonly Mount[]): string | undefined => {
  const overlay = overlayOf(right);
  if (overlay?.upper === undefined) return undefined;
  const lower = lowerOf(left);
  return lower !== undefined && lower.join(':') === overlay.lower.join(':') ? overlay.upper : undefined;
};

/** The layers that a read-only set of mounts shows. */
const lowerOf = (mounts: readonly Mount[]): readonly string[] | undefined => {
  const overlay = overlayOf(mounts);
  if (overlay !== undefined) return overlay.upper === undefined ? overlay.lower : undefined;
  const [only, ...more] = mounts;
  const isBind = only !== undefined && more.length === 0 && only.target === '' && isBindMount(only);
  return isBind ? [only.source] : undefined;
};

const isBindMount = ({ type, options }: Mount): boolean =>
  type === 'bind' || options.includes('bind') || options.includes('rbind');
