import { Failure } from '../failure.ts';

const TAKES_IDS: ReadonlySet<string> = new Set(
  'attach exec inspect kill logs pause rm shell stats stop top unpause wait'.split(' '),
);
/** Options before the verb that take a value. */
const WITH_VALUE: ReadonlySet<string> = new Set(['-a', '--address', '-n', '--namespace']);

/**
 * `kill -15 web` and `kill -TERM web` as people type it, for `kill -s 15 web`. A number with a dash where a container's
 * id should be is refused before anything is done: taken for an id, it would leave the default to happen to the rest.
 */
export const verbArguments = (args: readonly string[]): string[] => {
  let at = 0;
  while (args[at]?.startsWith('-') === true) at += WITH_VALUE.has(args[at] ?? '') ? 2 : 1;
  const [verb = '', first = ''] = args.slice(at, at + 2);
  if (!TAKES_IDS.has(verb) || !/^-(\d+|[A-Z][A-Z0-9]+)$/.test(first)) return [...args];
  if (verb !== 'kill') throw new Failure(`${first} is no option of ${verb}, and no id of a container`);
  return [...args.slice(0, at + 1), '--signal', first.slice(1), ...args.slice(at + 2)];
};
