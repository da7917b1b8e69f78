/** So many names are offered at most. */
const OFFERED = 3;

/** Those of `names` that somebody may have meant by `typed`: they begin with it, or differ by a slip or two. */
export const closeNames = (typed: string, names: readonly string[]): readonly string[] => {
  const slips = typed.length < 4 ? 1 : 2;
  return names
    .map((name) => ({ name, distance: name.startsWith(typed) ? 0 : distance(typed, name) }))
    .filter(({ distance }) => distance <= slips)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, OFFERED)
    .map(({ name }) => name);
};

/** Characters that must be inserted, deleted, replaced, or swapped with their neighbour (Damerau and Levenshtein). */
const distance = (from: string, to: string): number => {
  const rows: number[][] = [Array.from({ length: to.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number): number => rows[row]?.[column] ?? Number.POSITIVE_INFINITY;
  for (let row = 1; row <= from.length; row += 1) {
    rows.push([row]);
    for (let column = 1; column <= to.length; column += 1) {
      const [here, there] = [from[row - 1], to[column - 1]];
      const swapped = here === to[column - 2] && from[row - 2] === there ? at(row - 2, column - 2) + 1 : Infinity;
      const replaced = at(row - 1, column - 1) + (here === there ? 0 : 1);
      rows[row]?.push(Math.min(at(row - 1, column) + 1, at(row, column - 1) + 1, replaced, swapped));
    }
  }
  return at(from.length, to.length);
};
