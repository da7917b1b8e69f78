import { invalidArgument } from './errdefs.ts';
import { type Node, parseRegExp, type Place } from './regexp-syntax.ts';

/**
 * Regular expressions whose time grows with pattern times text and no faster. Filters come from clients, and one such as
 * `(a+)+$` would hold up JavaScript's own, backtracking engine, and with it the daemon, for as long as they like.
 * All states that the expression can be in are followed at once (Thompson's construction); only whether there is a match
 * is told, which is all that a filter asks.
 */
export interface LinearRegExp {
  /** Whether it matches anywhere in `text`. */
  test(text: string): boolean;
}

/** Steps that an expression may be made of; counted repetitions are written out. */
const STEPS_MAX = 1_000;
/** Visits of parts while the steps are made. */
const WORK_MAX = 10 * STEPS_MAX;
/** A longer text is not searched, characters: no field that people filter by is as long. */
const TEXT_CHARACTERS_MAX = 64 << 10;

/** Throws SyntaxError for what is no expression of Go's, InvalidArgument for one that is too large. */
export const compileRegExp = (source: string): LinearRegExp => {
  if (source.length > STEPS_MAX) throw tooLarge();
  const program = compile(parseRegExp(source));
  return { test: (text) => text.length <= TEXT_CHARACTERS_MAX && run(program, text) };
};

type Step =
  | { readonly kind: 'one'; readonly matches: (codePoint: number) => boolean }
  | { readonly kind: 'at'; readonly place: Place }
  | { readonly kind: 'go'; readonly to: readonly number[] }
  | { readonly kind: 'match' };

const compile = (root: Node): readonly Step[] => {
  const steps: Step[] = [];
  let work = 0;
  const push = (step: Step): number => {
    if (steps.length >= STEPS_MAX) throw tooLarge();
    return steps.push(step) - 1;
  };

  /** Appends the steps of `node`; a `one` or `at` goes on to the step after it. */
  const emit = (node: Node): void => {
    if ((work += 1) > WORK_MAX) throw tooLarge(); // what is empty makes no step, however often it is repeated
    switch (node.kind) {
      case 'empty':
        return;
      case 'one':
      case 'at':
        push(node);
        return;
      case 'sequence':
        for (const part of node.parts) emit(part);
        return;
      case 'choice':
        emitChoice(node.parts);
        return;
      case 'repeat':
        emitRepeat(node.part, node.min, node.max);
    }
  };

  const emitChoice = (parts: readonly Node[]): void => {
    const ends: number[] = [];
    for (const [index, part] of parts.entries()) {
      if (index === parts.length - 1) {
        emit(part);
        break;
      }
      const fork = push({ kind: 'go', to: [] });
      emit(part);
      ends.push(push({ kind: 'go', to: [] }));
      steps[fork] = { kind: 'go', to: [fork + 1, steps.length] };
    }
    for (const end of ends) steps[end] = { kind: 'go', to: [steps.length] };
  };

  const emitRepeat = (part: Node, min: number, max: number): void => {
    for (let count = 0; count < min; count += 1) emit(part);
    if (max === Infinity) {
      const fork = push({ kind: 'go', to: [] });
      emit(part);
      push({ kind: 'go', to: [fork] });
      steps[fork] = { kind: 'go', to: [fork + 1, steps.length] };
      return;
    }
    const forks: number[] = [];
    for (let count = min; count < max; count += 1) {
      forks.push(push({ kind: 'go', to: [] }));
      emit(part);
    }
    for (const fork of forks) steps[fork] = { kind: 'go', to: [fork + 1, steps.length] };
  };

  emit(root);
  push({ kind: 'match' });
  return steps;
};

const run = (program: readonly Step[], text: string): boolean => {
  const characters = Array.from(text); // code points
  const reach = reacher(program, characters);
  let current: number[] = [];
  for (let index = 0; index <= characters.length; index += 1) {
    current.push(0); // a match may begin anywhere
    const codePoint = characters[index]?.codePointAt(0);
    const next: number[] = [];
    for (const number of reach(current, index)) {
      const step = program[number];
      if (step?.kind === 'match') return true;
      if (step?.kind === 'one' && codePoint !== undefined && step.matches(codePoint)) next.push(number + 1);
    }
    current = next;
  }
  return false;
};

/** Gives a function that finds all steps that can be reached from some without taking a character. */
const reacher = (program: readonly Step[], characters: readonly string[]) => {
  const seenAt = new Int32Array(program.length).fill(-1); // one array for the whole text: sets would cost more than the rest
  return (from: readonly number[], index: number): readonly number[] => {
    const reached: number[] = [];
    const pending = [...from];
    for (let number = pending.pop(); number !== undefined; number = pending.pop()) {
      if (seenAt[number] === index) continue;
      seenAt[number] = index;
      reached.push(number);
      const step = program[number];
      if (step?.kind === 'go') pending.push(...step.to);
      else if (step?.kind === 'at' && isAt(step.place, characters, index)) pending.push(number + 1);
    }
    return reached;
  };
};

const isAt = (place: Place, characters: readonly string[], index: number): boolean => {
  switch (place) {
    case 'textBegin':
      return index === 0;
    case 'textEnd':
      return index === characters.length;
    case 'lineBegin':
      return index === 0 || characters[index - 1] === '\n';
    case 'lineEnd':
      return index === characters.length || characters[index] === '\n';
    case 'wordBoundary':
    case 'noWordBoundary': {
      const boundary = isWord(characters[index - 1]) !== isWord(characters[index]);
      return boundary === (place === 'wordBoundary');
    }
  }
};

const isWord = (character: string | undefined): boolean => character !== undefined && /^\w$/.test(character);

const tooLarge = (): Error => invalidArgument(`regular expression has more than ${STEPS_MAX} steps`);
