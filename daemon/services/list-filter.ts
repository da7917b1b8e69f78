import { type Filter, parseFilters } from '../../common/filters.ts';
import { codeOf, codes, invalidArgument, messageOf } from '../../common/errdefs.ts';

/** Parses the filters of a List call. containerd puts its suffix on twice there, and its clients take one away. */
export const listFilter = (filters: readonly string[]): Filter => {
  try {
    return parseFilters(filters);
  } catch (error) {
    if (codeOf(error) === codes.resourceExhausted) throw error;
    throw invalidArgument(messageOf(error), { cause: error });
  }
};
