import { invalidArgument } from '../../common/errdefs.ts';
import { applyMapPath } from '../../common/field-mask.ts';
import { checkLabels, type Labels, withoutEmpty } from '../../common/labels.ts';
import { nowNanos } from '../../native/index.ts';
import type { ContentParts } from './parts.ts';
import type { Content } from './store.ts';

/** `mask`: `labels` or `labels.<key>`, an empty value takes a label away; an empty mask replaces all labels. */
export const updateContent = async (
  { db, content }: ContentParts,
  namespace: string,
  wanted: { readonly digest: string; readonly labels: Labels },
  mask: readonly string[],
): Promise<Content> => {
  const updated = db.transaction(() => {
    const before = content.get(namespace, wanted.digest);
    const labels = (mask.length === 0 ? ['labels'] : mask).reduce<Labels>((current, path) => {
      const changed = applyMapPath('labels', path, current, wanted.labels);
      if (changed !== undefined) return changed;
      throw invalidArgument(
        `cannot update ${JSON.stringify(path)} field on content info ${JSON.stringify(wanted.digest)}`,
      );
    }, before.labels);
    checkLabels('info.Labels', labels);
    const after = { ...before, labels: withoutEmpty(labels), updatedAt: nowNanos() };
    content.update(namespace, after);
    return after;
  });
  await db.durable();
  return updated;
};
