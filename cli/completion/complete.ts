import type { Command, Option } from 'commander';
import type { Names } from './names.ts';

/** What may stand where the cursor is. */
export interface Completion {
  readonly candidates: readonly Candidate[];
  /** Of this machine, besides: directories, or files and directories. */
  readonly paths?: 'directories' | 'files';
}

export interface Candidate {
  readonly text: string;
  /** One line; empty: it speaks for itself. */
  readonly description: string;
}

/** Options whose value is something of this machine, or of the daemon, by their long names. */
const VALUES: Readonly<Record<string, (names: Names) => Promise<Completion>>> = {
  '--rootfs': async () => ({ candidates: [], paths: 'directories' }),
  '--volume': async () => ({ candidates: [], paths: 'files' }),
  '--address': async () => ({ candidates: [], paths: 'files' }),
  '--namespace': async (names) => plainly(await names.namespaces()),
  '--signal': async (names) => plainly(names.signals()),
};

/** Verbs that can do something with a container in some states only; all others, with any. */
const STATES: Readonly<Record<string, readonly string[]>> = {
  attach: ['running', 'paused'],
  exec: ['running'],
  kill: ['running', 'paused'],
  pause: ['running'],
  shell: ['running'],
  stats: ['running', 'paused'],
  stop: ['running', 'paused'],
  top: ['running', 'paused'],
  unpause: ['paused'],
};

/** `words`: those behind the program's name, up to the one at the cursor, which may be empty. */
export const complete = async (
  program: Command,
  words: readonly string[],
  namesOf: (connection: ReadonlyMap<string, string>) => Names,
): Promise<Completion> => {
  const current = words.at(-1) ?? '';
  const { command, operands, pending, values, isOver } = read(program, words.slice(0, -1));
  const names = namesOf(values);
  if (pending !== undefined) return starting(current, await valuesOf(pending, names));
  if (isOver) return { candidates: [], paths: 'files' }; // the container's own command line
  if (current.startsWith('-')) return starting(current, { candidates: optionsOf(command) });
  if (command.commands.length > 0) return starting(current, { candidates: verbsOf(command) });
  return starting(current, await operandsOf(command, operands, names));
};

interface Read {
  readonly command: Command;
  readonly operands: readonly string[];
  /** An option whose value comes next. */
  readonly pending: Option | undefined;
  /** Values that options were given, by their long names. */
  readonly values: ReadonlyMap<string, string>;
  /** What follows belongs to a command in a container. */
  readonly isOver: boolean;
}

const read = (program: Command, words: readonly string[]): Read => {
  let command = program;
  let pending: Option | undefined;
  const operands: string[] = [];
  const values = new Map<string, string>();
  for (const word of words) {
    if (pending !== undefined) {
      values.set(pending.long ?? '', word);
      pending = undefined;
    } else if (word.startsWith('-') && word !== '-') {
      const [flag, value] = word.split(/=(.*)/s, 2);
      const option = command.options.find(({ short, long }) => flag === short || flag === long);
      if (option === undefined || option.isBoolean() || !takesValue(option)) continue;
      if (value === undefined) pending = option;
      else values.set(option.long ?? '', value);
    } else {
      const verb = command.commands.find((one) => one.name() === word);
      if (verb === undefined) operands.push(word);
      else command = verb;
    }
  }
  return { command, operands, pending, values, isOver: isOver(command, operands) };
};

/** `run` and `exec` have a command line behind their own operands, which are all but the last. */
const isOver = (command: Command, operands: readonly string[]): boolean =>
  (command.name() === 'run' && operands.length > 0) || (command.name() === 'exec' && operands.length > 1);

const takesValue = ({ required, optional }: Option): boolean => required || optional;

const valuesOf = async (option: Option, names: Names): Promise<Completion> => {
  if (option.argChoices !== undefined) return plainly(option.argChoices);
  return (await VALUES[option.long ?? '']?.(names)) ?? { candidates: [] };
};

const operandsOf = async (command: Command, operands: readonly string[], names: Names): Promise<Completion> => {
  const declared = command.registeredArguments;
  const argument = declared[operands.length] ?? (declared.at(-1)?.variadic === true ? declared.at(-1) : undefined);
  if (argument?.argChoices !== undefined) return plainly(argument.argChoices);
  if (command.name() === 'help') return { candidates: verbsOf(command.parent ?? command) };
  if (argument?.name() !== 'id') return { candidates: [] };
  const states = STATES[command.name()];
  const containers = await names.containers();
  return {
    candidates: containers
      .filter(({ id, state }) => !operands.includes(id) && (states === undefined || states.includes(state)))
      .map(({ id, description }) => ({ text: id, description })),
  };
};

const verbsOf = (command: Command): Candidate[] =>
  command
    .createHelp()
    .visibleCommands(command)
    .map((verb) => ({ text: verb.name(), description: verb.description() }));

const optionsOf = (command: Command): Candidate[] =>
  command
    .createHelp()
    .visibleOptions(command)
    .flatMap(({ long, short, description }) =>
      [long, short].filter((flag) => flag !== undefined).map((text) => ({ text, description })),
    );

const plainly = (texts: readonly string[]): Completion => ({
  candidates: texts.map((text) => ({ text, description: '' })),
});

const starting = (current: string, { candidates, ...rest }: Completion): Completion => ({
  candidates: candidates.filter(({ text }) => text.startsWith(current)),
  ...rest,
});
