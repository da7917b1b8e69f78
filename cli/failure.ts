import { CommanderError } from 'commander';
import { UnreachableError } from '../client/channel.ts';
import { messageOf } from '../common/errdefs.ts';
import { foreignVerb } from './foreign-verbs.ts';
import { plain } from './render/plain.ts';

/** An error in words for the person at the keyboard, with what to do next. */
export class Failure extends Error {
  /** Undefined: that of the verb. */
  readonly status: number | undefined;

  constructor(words: string, options: ErrorOptions & { readonly status?: number } = {}) {
    super(words, options);
    this.name = 'Failure';
    this.status = options.status;
  }
}

/** Verbs whose exit status is that of a process in the container. */
const WITH_STATUS: ReadonlySet<string> = new Set(['run', 'exec', 'shell', 'attach']);
/** Theirs when it is not: what no command is likely to give. Source: Docker. */
const OWN_FAILURE = 125;
/** 128 + SIGPIPE: as of any program whose reader has gone. */
const BROKEN_PIPE = 141;

/** One line that says what went wrong, empty if that was said already, and the exit status. */
export const explain = (
  error: unknown,
  verb: string | undefined,
): { readonly words: string; readonly status: number } => {
  // What failed first matters; that it could not be undone as well is often the same trouble once more.
  if (error instanceof SuppressedError) return explain(error.suppressed, verb);
  const status = verb !== undefined && WITH_STATUS.has(verb) ? OWN_FAILURE : 1;
  if (error instanceof CommanderError) {
    const said = error.exitCode === 0 || error.code === 'commander.help';
    return { words: said ? '' : usageWords(error, verb), status: error.exitCode === 0 ? 0 : status };
  }
  if (isBrokenPipe(error)) return { words: '', status: BROKEN_PIPE };
  if (error instanceof Failure) return { words: oneLine(error.message), status: error.status ?? status };
  if (error instanceof UnreachableError) return { words: unreachableWords(error), status };
  return { words: oneLine(wireWords(messageOf(error))), status };
};

/** Whether whoever read our output has gone. */
export const isBrokenPipe = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'EPIPE';

/** What the codes at the end of a message mean to people: words to put before it or after it. */
const CODE_WORDS: readonly (readonly [words: RegExp, before: string, after: string])[] = [
  [/: not found$/, 'there is no ', ''],
  [/: already exists$/, 'there is already a ', ''],
  [/: context deadline exceeded$/, '', ': it took too long'],
  [/: context canceled$/, '', ': it was cancelled'],
  [/: not implemented$/, '', ': this daemon cannot do that'],
  [/: unavailable$/, '', ': try again when the daemon is up'],
  // These say why already.
  [/: (invalid argument|failed precondition|out of range|resource exhausted|permission denied|unknown)$/, '', ''],
];

/** A message as it came over the wire, in words that end in no name of a code. */
export const wireWords = (message: string): string => {
  // Of the connection's own end, and not in the daemon's words.
  if (/^Connection dropped|ECONNRESET/.test(message)) {
    return 'the daemon went away in the middle; when it is back, "holdfast ps -a" shows what came of it';
  }
  for (const [words, before, after] of CODE_WORDS) {
    if (words.test(message)) return `${before}${message.replace(words, '')}${after}`;
  }
  return message;
};

/** commander's `error: unknown option '--foo'\n(Did you mean --bar?)`, in one line. */
const usageWords = ({ message }: CommanderError, verb: string | undefined): string => {
  const words = oneLine(message.replace(/^error: /, '').replace('(Did you mean', '(did you mean'));
  const wrong = /^option '.*?(--[\w-]+).*?' argument '(.*)' is invalid\. (.)(.*?)\.?$/.exec(words);
  // These words say already what it should be.
  if (wrong !== null) return `${wrong[1]} ${wrong[2]}: ${wrong[3]?.toLowerCase()}${wrong[4]}`;
  const choice = /^command-argument value '(.*)' is invalid for argument '(.*)'\. Allowed choices are (.*)\.$/.exec(
    words,
  );
  if (choice !== null) return `${choice[2]} ${choice[1]}: allowed choices are ${choice[3]}`;
  const isUnknown = message.includes(`unknown command '${verb}'`);
  const elsewhere = isUnknown && verb !== undefined ? foreignVerb(verb) : undefined;
  if (elsewhere !== undefined) return elsewhere;
  const isVerb = verb !== undefined && !isUnknown;
  return `${words.replace(/\.$/, '')}; see "holdfast ${isVerb ? `${verb} ` : ''}--help"`;
};

const unreachableWords = ({ address, reason }: UnreachableError): string => {
  if (reason === 'EACCES' || reason === 'EPERM') {
    return `this user may not use ${address}: run holdfast as root, or as a member of the socket's group`;
  }
  const because =
    reason === 'ENOENT' ? 'there is no such socket' : reason === 'ECONNREFUSED' ? 'nobody listens' : reason;
  return (
    `no daemon answers on ${address} (${because}): start one with "holdfastd --address ${address}", ` +
    'or name the one that runs with --address or HOLDFAST_ADDRESS'
  );
};

const oneLine = (text: string): string =>
  text
    .split('\n')
    .map((line) => plain(line.trim()))
    .filter((line) => line !== '')
    .join(' ');
