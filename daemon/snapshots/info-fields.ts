import { type Fields, mapField } from '../../common/filters.ts';
import type { Info } from './snapshotter.ts';

/** What a List can be narrowed by. */
export const infoFields =
  (info: Info): Fields =>
  ([first = '', ...rest]) => {
    switch (first) {
      case 'name':
        return info.name;
      case 'parent':
        return info.parent;
      case 'kind':
        return info.kind;
      case 'labels':
        return mapField(info.labels, rest);
      default:
        return undefined;
    }
  };
