import { between, code, folded, literal, not, only, PERL, POSIX, type Test, unicode } from './regexp-classes.ts';

/**
 * Go's regular expressions (RE2 syntax, as in Go's regexp/syntax with its Perl flags), parsed to a tree. What is not in
 * that language (look-around, backreferences) is a syntax error, as in Go.
 */
export type Node =
  | { readonly kind: 'empty' }
  | { readonly kind: 'one'; readonly matches: (codePoint: number) => boolean }
  | { readonly kind: 'at'; readonly place: Place }
  | { readonly kind: 'sequence'; readonly parts: readonly Node[] }
  | { readonly kind: 'choice'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly part: Node; readonly min: number; readonly max: number };

export type Place = 'textBegin' | 'textEnd' | 'lineBegin' | 'lineEnd' | 'wordBoundary' | 'noWordBoundary';

/** Largest count in `{n,m}`. Source: Go's regexp/syntax. */
const REPEAT_MAX = 1000;

/** Deepest nesting of groups. Source: Go's regexp/syntax. */
const DEPTH_MAX = 1000;

interface Flags {
  /** `i`: case does not matter. */
  readonly fold: boolean;
  /** `m`: `^` and `$` match at lines. */
  readonly lines: boolean;
  /** `s`: `.` matches a line's end too. */
  readonly dotAll: boolean;
}

/** Throws SyntaxError. */
export const parseRegExp = (source: string): Node => {
  const parser = new Parser(source);
  const node = parser.choice({ fold: false, lines: false, dotAll: false });
  if (!parser.done) throw new SyntaxError('unexpected )');
  return node;
};

class Parser {
  readonly #characters: readonly string[];
  #position = 0;
  #depth = 0;

  constructor(source: string) {
    this.#characters = Array.from(source); // code points
  }

  get done(): boolean {
    return this.#position >= this.#characters.length;
  }

  choice(flags: Flags): Node {
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) throw new SyntaxError('expression nests too deeply');
    const parts: Node[] = [];
    let current = flags; // `(?i)` in a sequence holds until its group ends
    for (let more = true; more; more = this.#take('|')) {
      const sequence: Node[] = [];
      while (!this.done && this.#peek() !== '|' && this.#peek() !== ')') {
        const changed = this.#flagsOnly(current);
        if (changed !== undefined) current = changed;
        else sequence.push(this.#repeated(current));
      }
      parts.push({ kind: 'sequence', parts: sequence });
    }
    this.#depth -= 1;
    return { kind: 'choice', parts };
  }

  #repeated(flags: Flags): Node {
    const part = this.#atom(flags);
    const range = this.#range();
    if (range === undefined) return part;
    this.#take('?'); // lazy: only which match is found would differ, not whether there is one
    if (this.#range() !== undefined) throw new SyntaxError('invalid nested repetition operator');
    return { kind: 'repeat', part, ...range };
  }

  #range(): { readonly min: number; readonly max: number } | undefined {
    if (this.#take('*')) return { min: 0, max: Infinity };
    if (this.#take('+')) return { min: 1, max: Infinity };
    if (this.#take('?')) return { min: 0, max: 1 };
    const match = this.#match(/^\{(\d+)(,(\d*))?\}/);
    if (match === undefined) return undefined; // another `{` stands for itself
    const min = Number(match[1]);
    const max = match[2] === undefined ? min : match[3] === '' ? Infinity : Number(match[3]);
    if (min > REPEAT_MAX || (max !== Infinity && max > REPEAT_MAX) || max < min) {
      throw new SyntaxError('invalid repeat count');
    }
    return { min, max };
  }

  #atom(flags: Flags): Node {
    const character = this.#next();
    switch (character) {
      case '.':
        return one(flags.dotAll ? () => true : (code) => code !== 10);
      case '^':
        return { kind: 'at', place: flags.lines ? 'lineBegin' : 'textBegin' };
      case '$':
        return { kind: 'at', place: flags.lines ? 'lineEnd' : 'textEnd' };
      case '(':
        return this.#group(flags);
      case '[':
        return one(this.#class(flags));
      case '\\':
        return this.#escape(flags);
      case '*':
      case '+':
      case '?':
        throw new SyntaxError('missing argument to repetition operator');
      default:
        return one(literal(character, flags));
    }
  }

  #group(flags: Flags): Node {
    const match = this.#match(/^\?(?:P?<[A-Za-z_]\w*>|([imsU]*)(?:-([imsU]*))?:)/);
    if (match === undefined && this.#peek() === '?') throw new SyntaxError('invalid or unsupported Perl syntax');
    const inner = this.choice(withFlags(flags, match?.[1] ?? '', match?.[2] ?? ''));
    if (!this.#take(')')) throw new SyntaxError('missing closing )');
    return inner;
  }

  #flagsOnly(flags: Flags): Flags | undefined {
    const match = this.#match(/^\(\?([imsU]*)(?:-([imsU]+))?\)/);
    return match === undefined ? undefined : withFlags(flags, match[1] ?? '', match[2] ?? '');
  }

  #escape(flags: Flags): Node {
    const quoted = this.#match(/^Q(.*?)(?:\\E|$)/s);
    if (quoted !== undefined) {
      return { kind: 'sequence', parts: Array.from(quoted[1] ?? '', (character) => one(literal(character, flags))) };
    }
    const place = PLACES.get(this.#peek());
    if (place !== undefined) {
      this.#position += 1;
      return { kind: 'at', place };
    }
    return one(this.#classEscape(flags) ?? folded(only(this.#codeEscape()), flags));
  }

  /** `\d`, `\pL` and their like, after the backslash. */
  #classEscape(flags: Flags): Test | undefined {
    const perl = PERL.get(this.#peek());
    if (perl !== undefined) {
      this.#position += 1;
      return perl;
    }
    const match = this.#match(/^([pP])(?:\{(\^?)(\w+)\}|([A-Z]))/);
    if (match === undefined) return undefined;
    const [, letter, caret, long, short] = match;
    const test = folded(unicode(long ?? short ?? ''), flags);
    return (letter === 'P') !== (caret === '^') ? not(test) : test;
  }

  /** A single character, after the backslash. */
  #codeEscape(): number {
    const hex = this.#match(/^x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})/);
    if (hex !== undefined) return Number.parseInt(hex[1] ?? hex[2] ?? '', 16);
    const octal = this.#match(/^(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/);
    if (octal !== undefined) return Number.parseInt(octal[0], 8);
    const character = this.#next();
    const control = CONTROLS.get(character);
    if (control !== undefined) return control;
    if (!/^[!-/:-@[-`{-~ ]$/.test(character)) throw new SyntaxError('invalid escape sequence');
    return code(character);
  }

  #class(flags: Flags): Test {
    const negated = this.#take('^');
    const tests: Test[] = [];
    for (let first = true; first || this.#peek() !== ']'; first = false) {
      tests.push(this.#classItem(flags));
    }
    this.#position += 1;
    const any: Test = (codePoint) => tests.some((test) => test(codePoint));
    return negated ? not(any) : any;
  }

  #classItem(flags: Flags): Test {
    const posix = this.#match(/^\[:(\^?)(\w+):\]/);
    if (posix !== undefined) {
      const test = POSIX.get(posix[2] ?? '');
      if (test === undefined) throw new SyntaxError('invalid character class range');
      return posix[1] === '^' ? not(test) : test;
    }
    if (this.#peek() === '\\') {
      this.#position += 1;
      const escape = this.#classEscape(flags);
      if (escape !== undefined) return escape;
      this.#position -= 1;
    }
    const low = this.#classCode();
    if (this.#peek() !== '-' || this.#peek(1) === ']') return folded(only(low), flags);
    this.#position += 1;
    const high = this.#classCode();
    if (high < low) throw new SyntaxError('invalid character class range');
    return folded(between(low, high), flags);
  }

  #classCode(): number {
    const character = this.#next();
    return character === '\\' ? this.#codeEscape() : code(character);
  }

  #peek(ahead = 0): string {
    return this.#characters[this.#position + ahead] ?? '';
  }

  #next(): string {
    if (this.done) throw new SyntaxError('unexpected end of expression');
    this.#position += 1;
    return this.#characters[this.#position - 1] ?? '';
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#position += 1;
    return true;
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    const match = pattern.exec(this.#characters.slice(this.#position).join(''));
    if (match === null) return undefined;
    this.#position += Array.from(match[0]).length;
    return match;
  }
}

const one = (matches: Test): Node => ({ kind: 'one', matches });
const withFlags = (flags: Flags, on: string, off: string): Flags => {
  const flag = (letter: string, before: boolean) => (on.includes(letter) || before) && !off.includes(letter);
  return { fold: flag('i', flags.fold), lines: flag('m', flags.lines), dotAll: flag('s', flags.dotAll) };
};

const PLACES: ReadonlyMap<string, Place> = new Map([
  ['A', 'textBegin'],
  ['z', 'textEnd'],
  ['b', 'wordBoundary'],
  ['B', 'noWordBoundary'],
]);

const CONTROLS: ReadonlyMap<string, number> = new Map([
  ['a', 7],
  ['f', 12],
  ['t', 9],
  ['n', 10],
  ['r', 13],
  ['v', 11],
]);
