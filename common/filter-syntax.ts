/**
 * The syntax of containerd's filters:
 *
 *     filter   = selector { "," selector }
 *     selector = path [ operator value ]
 *     path     = field { "." field }            field = letters, digits, "_", or quoted "…"
 *     operator = "==" | "!=" | "~="
 *     value    = anything but "," and space, or quoted "…"; after "~=" also /…/ and |…|
 *
 * White space may stand before a field, an operator or a value. Quoted text has Go's escapes.
 */
export interface Selector {
  readonly path: readonly string[];
  readonly operator: 'present' | '==' | '!=' | '~=';
  /** Empty for `present`. */
  readonly value: string;
}

type Token = {
  readonly at: number;
  readonly kind: 'end' | 'separator' | 'operator' | 'word' | 'quoted' | 'other';
  readonly text: string;
};

/** Throws an Error whose message shows the place: `parse error: [name= >|=|< x]: …`. */
export const parseSelectors = (input: string): readonly Selector[] => {
  const scanner = new Scanner(input);
  const selectors = [selector(scanner)];
  while (scanner.peek() === ',') {
    scanner.next();
    selectors.push(selector(scanner));
  }
  if (scanner.peek() !== '') throw scanner.error(scanner.position, `unexpected input: ${scanner.peek()}`);
  return selectors;
};

const selector = (scanner: Scanner): Selector => {
  const path = [field(scanner)];
  while (scanner.peek() === '.') {
    scanner.next();
    path.push(field(scanner));
  }
  if (scanner.peek() === ',' || scanner.peek() === '') return { path, operator: 'present', value: '' };
  const token = scanner.next();
  if (token.kind !== 'operator') throw scanner.error(token.at, 'expected an operator ("=="|"!="|"~=")');
  const operator = token.text;
  if (operator !== '==' && operator !== '!=' && operator !== '~=') {
    throw scanner.error(token.at, `unsupported operator ${JSON.stringify(operator)}`);
  }
  return { path, operator, value: value(scanner, operator === '~=') };
};

const field = (scanner: Scanner): string => {
  const token = scanner.next();
  if (token.kind === 'quoted') return unquoted(scanner, token, false);
  if (token.kind !== 'word') throw scanner.error(token.at, 'expected field or quoted');
  return token.text;
};

const value = (scanner: Scanner, anyQuotes: boolean): string => {
  const token = scanner.nextValue();
  if (token.kind === 'quoted') return unquoted(scanner, token, anyQuotes);
  if (token.kind !== 'word') throw scanner.error(token.at, 'expected value or quoted');
  return token.text;
};

const unquoted = (scanner: Scanner, token: Token, anyQuotes: boolean): string => {
  if (!anyQuotes && !token.text.startsWith('"')) throw scanner.error(token.at, 'invalid quote encountered');
  try {
    return unquote(token.text);
  } catch (error) {
    throw scanner.error(token.at, (error as Error).message);
  }
};

const OPERATOR = /[=!~]+/y;
const WORD = /[A-Za-z0-9_]+/y;
/** Any character, then all that Go calls graphic, less space and comma. */
const VALUE = /[^\0][^\s,\p{C}\p{Zl}\p{Zp}\p{Zs}]*/uy;
const SPACE = /\s*/y;

class Scanner {
  readonly #input: string;
  position = 0;

  constructor(input: string) {
    this.#input = input;
  }

  /** The next character, white space too; '' at the end. */
  peek(): string {
    const code = this.#input.codePointAt(this.position);
    return code === undefined ? '' : String.fromCodePoint(code);
  }

  next(): Token {
    return this.#token(WORD);
  }

  nextValue(): Token {
    return this.#token(VALUE);
  }

  error(at: number, reason: string): Error {
    const shown =
      at < this.#input.length
        ? `${this.#input.slice(0, at)} >|${this.#input[at]}|< ${this.#input.slice(at + 1)}`
        : this.#input;
    return new Error(`parse error: [${shown}]: ${reason}`);
  }

  #token(word: RegExp): Token {
    this.#take(SPACE);
    const at = this.position;
    const first = this.peek();
    if (first === '') return { at, kind: 'end', text: '' };
    if (first === '/' || first === '|' || first === '"') return { at, kind: 'quoted', text: this.#quoted(first) };
    if (first === ',' || first === '.') {
      this.position += 1;
      return { at, kind: 'separator', text: first };
    }
    const operator = this.#take(OPERATOR);
    if (operator !== '') return { at, kind: 'operator', text: operator };
    const text = this.#take(word);
    return text === '' ? { at, kind: 'other', text: first } : { at, kind: 'word', text };
  }

  /** From the quote to its fellow, both included. Escapes are only checked as far as they could hide the end. */
  #quoted(quote: string): string {
    const begin = this.position;
    for (let at = begin + 1; at < this.#input.length; at += 1) {
      const character = this.#input[at];
      if (character === '\n') break;
      if (character === '\\') at += 1;
      else if (character === quote) {
        this.position = at + 1;
        return this.#input.slice(begin, at + 1);
      }
    }
    throw this.error(begin, 'quoted literal not terminated');
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.position;
    const text = pattern.exec(this.#input)?.[0] ?? '';
    this.position += text.length;
    return text;
  }
}

const SIMPLE_ESCAPES: ReadonlyMap<string, number> = new Map([
  ['a', 7],
  ['b', 8],
  ['f', 12],
  ['n', 10],
  ['r', 13],
  ['t', 9],
  ['v', 11],
  ['\\', 92],
]);

/** What an escape is made of after its backslash: hex of a byte, a code point in hex, or a byte in octal. */
const ESCAPE = /x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-7]{3})/y;

/** Go's rules for quoted text, with `/` and `|` as quotes too. Throws when it breaks them. */
const unquote = (text: string): string => {
  const quote = text[0];
  const parts: Uint8Array[] = []; // bytes: `\xc3\xa9` is one character
  const body = text.slice(1, -1);
  for (let at = 0; at < body.length;) {
    const slash = body.indexOf('\\', at);
    if (slash !== at) {
      const end = slash === -1 ? body.length : slash;
      parts.push(Buffer.from(body.slice(at, end)));
      at = end;
      continue;
    }
    const letter = body[at + 1] ?? '';
    const simple = letter === quote ? letter.charCodeAt(0) : SIMPLE_ESCAPES.get(letter);
    if (simple !== undefined) {
      parts.push(Uint8Array.of(simple));
      at += 2;
      continue;
    }
    ESCAPE.lastIndex = at + 1;
    const match = ESCAPE.exec(body);
    if (match === null) throw new Error(`illegal ${/[xuU0-7]/.test(letter) ? 'numeric ' : ''}escape sequence`);
    parts.push(escaped(match));
    at += 1 + match[0].length;
  }
  return Buffer.concat(parts).toString();
};

const escaped = ([, byte, short, long, octal]: RegExpExecArray): Uint8Array => {
  if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16));
  const code = octal === undefined ? Number.parseInt(short ?? long ?? '', 16) : Number.parseInt(octal, 8);
  if (code > (octal === undefined ? 0x10ffff : 255)) throw new Error('unquoting failed: quote syntax error');
  return octal === undefined ? Buffer.from(String.fromCodePoint(code)) : Uint8Array.of(code);
};
