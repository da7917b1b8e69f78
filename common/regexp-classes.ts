/** Whether a character, by its code point, is one of a class. */
export type Test = (codePoint: number) => boolean;

export const not =
  (test: Test): Test =>
  (codePoint) =>
    !test(codePoint);
export const only =
  (wanted: number): Test =>
  (codePoint) =>
    codePoint === wanted;
export const between =
  (low: number, high: number): Test =>
  (codePoint) =>
    codePoint >= low && codePoint <= high;
export const code = (character: string): number => character.codePointAt(0) ?? 0;
export const literal = (character: string, flags: { readonly fold: boolean }): Test =>
  folded(only(code(character)), flags);

/** With `i`, a character matches when its lower or upper case does. */
export const folded = (test: Test, { fold }: { readonly fold: boolean }): Test => {
  if (!fold) return test;
  return (codePoint) => {
    const character = String.fromCodePoint(codePoint);
    return test(codePoint) || test(code(character.toLowerCase())) || test(code(character.toUpperCase()));
  };
};

/** Tests by a class of ours, ASCII only. */
const ascii = (characters: string): Test => {
  const pattern = new RegExp(`^[${characters}]$`, 'u');
  return (codePoint) => codePoint < 128 && pattern.test(String.fromCodePoint(codePoint));
};

/** A general category or a script, such as `L`, `Lu` or `Greek`. */
export const unicode = (name: string): Test => {
  if (name === 'Any') return () => true;
  for (const property of [name, `Script=${name}`]) {
    try {
      const pattern = new RegExp(`^\\p{${property}}$`, 'u');
      return (codePoint) => pattern.test(String.fromCodePoint(codePoint));
    } catch {
      continue; // not of that kind
    }
  }
  throw new SyntaxError('invalid character class range');
};

export const PERL: ReadonlyMap<string, Test> = new Map([
  ['d', ascii('0-9')],
  ['D', not(ascii('0-9'))],
  ['s', ascii('\\t\\n\\f\\r ')],
  ['S', not(ascii('\\t\\n\\f\\r '))],
  ['w', ascii('0-9A-Za-z_')],
  ['W', not(ascii('0-9A-Za-z_'))],
]);

export const POSIX: ReadonlyMap<string, Test> = new Map([
  ['alnum', ascii('0-9A-Za-z')],
  ['alpha', ascii('A-Za-z')],
  ['ascii', between(0, 127)],
  ['blank', ascii('\\t ')],
  ['cntrl', (codePoint) => codePoint < 32 || codePoint === 127],
  ['digit', ascii('0-9')],
  ['graph', between(33, 126)],
  ['lower', ascii('a-z')],
  ['print', between(32, 126)],
  ['punct', ascii('!-\\/:-@\\[-`\\{-~')],
  ['space', ascii('\\t\\n\\v\\f\\r ')],
  ['upper', ascii('A-Z')],
  ['word', ascii('0-9A-Za-z_')],
  ['xdigit', ascii('0-9A-Fa-f')],
]);
