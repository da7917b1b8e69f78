import { unknownError } from '../../../common/errdefs.ts';
import { OPAQUE_MARKER, WHITEOUT_PREFIX } from '../whiteouts.ts';

/** Where an entry belongs: a directory's path below the root ('' is the root) and a name in it, both free of `.` and `..`. */
export interface Place {
  readonly directory: string;
  readonly name: string;
}

/** Absolute names and `..` begin, and stay, at the root; undefined: the root itself. */
export const placeOf = (name: string): Place | undefined => {
  const parts: string[] = [];
  for (const part of name.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  const last = parts.pop();
  return last === undefined ? undefined : { directory: parts.join('/'), name: last };
};

/** What a name in a layer means: a file, or the absence of one. */
export type Meaning =
  | { readonly kind: 'file' }
  | { readonly kind: 'opaque' }
  | { readonly kind: 'whiteout'; readonly hidden: string };

/** A whiteout of nothing, of `.` or of `..` would act on the directory or above it. */
export const meaningOf = (name: string): Meaning => {
  if (name === OPAQUE_MARKER) return { kind: 'opaque' };
  if (!name.startsWith(WHITEOUT_PREFIX)) return { kind: 'file' };
  const hidden = name.slice(WHITEOUT_PREFIX.length);
  if (hidden === '' || hidden === '.' || hidden === '..') {
    throw unknownError(`invalid whiteout name: ${name}: invalid archive`);
  }
  return { kind: 'whiteout', hidden };
};
