import { invalidArgument, resourceExhausted } from './errdefs.ts';
import { parseSelectors, type Selector } from './filter-syntax.ts';
import { compileRegExp, type LinearRegExp } from './linear-regexp.ts';

/**
 * Gives the value at a path such as `['labels', 'a.b/c']`; undefined where there is none. (containerd's adaptors tell
 * an empty value from an absent one; where that matters, so does the one who writes the Fields.)
 */
export type Fields = (path: readonly string[]) => string | undefined;

/** What the lists of the API are narrowed by. */
export type Filter = (fields: Fields) => boolean;

/**
 * Characters of all the filters of a request: some 3,800 of `id==<64 hexadecimal digits>`. Each is looked at for each row or
 * event, and a million selectors, which a request has room for, take seconds to parse.
 */
export const FILTERS_LENGTH_MAX = 256 << 10;

/**
 * Parses the filters of a request: any one may match; none at all match everything, and so does an empty one.
 * In a filter, selectors separated by commas must all match: `name==web,labels."a.b/c"!=x,image~=|^docker|`.
 * Throws InvalidArgument that shows the place; ResourceExhausted when they are longer than FILTERS_LENGTH_MAX.
 */
export const parseFilters = (filters: readonly string[]): Filter => {
  if (filters.length === 0) return () => true;
  const length = filters.reduce((sum, filter) => sum + filter.length + 1, 0); // an empty one costs something too
  if (length > FILTERS_LENGTH_MAX) {
    throw resourceExhausted(`filters of ${length} characters, more than ${FILTERS_LENGTH_MAX}`);
  }
  const any = filters.map(parseFilter);
  return (fields) => any.some((filter) => filter(fields));
};

/** The selectors of one filter, for who wants to know what a client asks for rather than to match it. */
export const selectorsOf = (filter: string): readonly Selector[] => {
  if (filter === '') return [];
  try {
    return parseSelectors(filter);
  } catch (error) {
    throw invalidArgument(`filters: ${(error as Error).message}`);
  }
};

/** A map field under its dotted path: `labels."a.b"` and `labels.a.b` are the same key. */
export const mapField = (map: ReadonlyMap<string, string>, path: readonly string[]): string | undefined =>
  map.get(path.join('.'));

/** Where an empty string means that the field is not set. */
export const present = (value: string): string | undefined => (value === '' ? undefined : value);

const parseFilter = (filter: string): Filter => {
  const all = selectorsOf(filter).map(matcher);
  return (fields) => all.every((match) => match(fields));
};

const matcher = ({ path, operator, value }: Selector): Filter => {
  switch (operator) {
    case 'present':
      return (fields) => fields(path) !== undefined;
    case '==':
      return (fields) => fields(path) === value;
    case '!=':
      return (fields) => (fields(path) ?? '') !== value;
    case '~=': {
      const expression = compiled(value);
      return (fields) => expression?.test(fields(path) ?? '') ?? false;
    }
  }
};

/** In containerd too, an expression that does not compile is no error: it matches nothing. One too large for us is. */
const compiled = (source: string): LinearRegExp | undefined => {
  try {
    return compileRegExp(source);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
};
