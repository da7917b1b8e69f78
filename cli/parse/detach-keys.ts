import { InvalidArgumentError, Option } from 'commander';
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from '../../client/io/detach-keys.ts';

/** `--detach-keys`, for verbs that have a terminal of a container. */
export const detachKeysOption = (): Option =>
  new Option('--detach-keys <keys>', 'typed on a terminal, they leave the container to itself; empty: no keys do')
    .argParser(parse)
    .default(parseDetachKeys(DEFAULT_DETACH_KEYS), DEFAULT_DETACH_KEYS);

const parse = (text: string): Buffer => {
  try {
    return parseDetachKeys(text);
  } catch {
    throw new InvalidArgumentError('It is keys with commas between them, such as ctrl-p,ctrl-q or ctrl-].');
  }
};
