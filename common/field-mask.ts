/**
 * Applies one path of an update mask to a map field: `labels` replaces the whole map, `labels.<key>` one entry (the key
 * may hold dots and slashes; an absent one is taken away). Gives undefined if the path is about another field.
 */
export const applyMapPath = <T>(
  field: string,
  path: string,
  current: ReadonlyMap<string, T>,
  wanted: ReadonlyMap<string, T>,
): ReadonlyMap<string, T> | undefined => {
  if (path === field) return wanted;
  if (!path.startsWith(`${field}.`)) return undefined;
  const key = path.slice(field.length + 1);
  const result = new Map(current);
  const value = wanted.get(key);
  if (value === undefined) result.delete(key);
  else result.set(key, value);
  return result;
};
