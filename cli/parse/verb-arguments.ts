import { Failure } from '../failure.ts';

const TAKES_IDS: ReadonlySet<string> = new Set(
  'attach exec inspect kill logs pause rm shell stats stop top unpause wait'.split(' '),
);
/** Options before the verb that take a value. */
const WITH_VALUE: ReadonlySet<string> = new Set(['-a', '--address', '-n', '--namespace']);

/** Where an option of the verb's own is in the way of one before it, and how its value tells which was meant. */
const MEANT: Readonly<Record<string, { readonly short: string; readonly value: RegExp; readonly long: string }>> = {
  ps: { short: '-a', value: /^(\/|unix:)/, long: '--address' },
  kill: { short: '-a', value: /^(\/|unix:)/, long: '--address' },
  logs: { short: '-n', value: /^\d*[^\d-]/, long: '--namespace' },
};

const SIGNAL = /^-(\d+|[A-Z][A-Z0-9]+)$/;

/**
 * What people type, as commander is to read it: `kill -15 web` and `kill -TERM web` for `kill -s 15 web`, and
 * `ps -a /run/h.sock` for `ps --address /run/h.sock`. A number with a dash where a container's id should be is refused
 * before anything is done: taken for an id, it would leave the default to happen to the rest.
 */
export const verbArguments = (args: readonly string[]): string[] => {
  let at = 0;
  while (args[at]?.startsWith('-') === true) at += WITH_VALUE.has(args[at] ?? '') ? 2 : 1;
  const [verb = '', rest] = [args[at], args.slice(at + 1)];
  return [...args.slice(0, at + 1), ...meant(verb, signals(verb, rest))];
};

const signals = (verb: string, args: readonly string[]): readonly string[] => {
  if (!TAKES_IDS.has(verb)) return args;
  // Behind the id of exec stands a command, whose words are its own.
  const ours = verb === 'exec' ? args.slice(0, 1) : args;
  const signal = ours.find((arg) => SIGNAL.test(arg));
  if (signal === undefined) return args;
  if (verb !== 'kill') throw new Failure(`${signal} is no option of ${verb}, and no id of a container`);
  return args.flatMap((arg) => (SIGNAL.test(arg) ? ['--signal', arg.slice(1)] : [arg]));
};

const meant = (verb: string, args: readonly string[]): string[] => {
  const rule = Object.hasOwn(MEANT, verb) ? MEANT[verb] : undefined;
  return args.map((arg, index) =>
    rule !== undefined && arg === rule.short && rule.value.test(args[index + 1] ?? '') ? rule.long : arg,
  );
};
