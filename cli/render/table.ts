import { plain } from './plain.ts';

/** Blanks between two columns. */
const GAP = 3;

/** Rows under their headings, each column as wide as its widest cell; ends in a newline. */
export const table = (headings: readonly string[], rows: readonly (readonly string[])[]): string => {
  const lines = [headings, ...rows.map((row) => row.map(plain))];
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, column) => cell.padEnd((widths[column] ?? 0) + GAP))
          .join('')
          .trimEnd()}\n`,
    )
    .join('');
};

/** At most `length` characters, the last of them `…` if something was cut off. */
export const shorten = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 1)}…`;
