import { InvalidArgumentError } from 'commander';

type Pairs = ReadonlyMap<string, string>;

/** For an option that may be repeated: `K=V`, or `K` for the value that our own environment has, if it has one. */
export const collectEnv = (text: string, before: Pairs = new Map()): Pairs => {
  const [name, value] = split(text);
  const found = value ?? process.env[name];
  return found === undefined ? before : new Map([...before, [name, found]]);
};

/** For an option that may be repeated: `K=V`; `K` alone has an empty value. */
export const collectPair = (text: string, before: Pairs = new Map()): Pairs => {
  const [name, value = ''] = split(text);
  return new Map([...before, [name, value]]);
};

/** For an option that may be repeated, each value of which `parse` reads. */
export const collect =
  <T>(parse: (text: string) => T) =>
  (text: string, before: readonly T[] = []): readonly T[] => [...before, parse(text)];

const split = (text: string): [string, string | undefined] => {
  const at = text.indexOf('=');
  const name = at === -1 ? text : text.slice(0, at);
  if (name === '') throw new InvalidArgumentError('It is NAME=VALUE.');
  return [name, at === -1 ? undefined : text.slice(at + 1)];
};
