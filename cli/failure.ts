import { CommanderError } from 'commander';
import { UnreachableError } from '../client/channel.ts';
import { isNotFound, messageOf } from '../common/errdefs.ts';
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

/** Exit status of verbs whose own is that of a command: what no command is likely to give. Source: Docker. */
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
  const status = verb === 'run' || verb === 'exec' ? OWN_FAILURE : 1;
  if (error instanceof CommanderError) {
    const said = error.exitCode === 0 || error.code === 'commander.help';
    return { words: said ? '' : usageWords(error, verb), status: error.exitCode === 0 ? 0 : status };
  }
  if (isBrokenPipe(error)) return { words: '', status: BROKEN_PIPE };
  if (error instanceof Failure) return { words: oneLine(error.message), status: error.status ?? status };
  if (error instanceof UnreachableError) return { words: unreachableWords(error), status };
  const hint = hintFor(error);
  return { words: `${oneLine(messageOf(error))}${hint}`, status };
};

const hintFor = (error: unknown): string => {
  if (isNotFound(error) && /^(container|task) /.test(messageOf(error))) return '; "holdfast ps -a" lists what there is';
  // Of the connection's own end, and not in the daemon's words.
  if (/^Connection dropped|ECONNRESET/.test(messageOf(error))) {
    return ': the daemon went away in the middle; when it is back, "holdfast ps -a" shows what came of it';
  }
  return '';
};

/** Whether whoever read our output has gone. */
export const isBrokenPipe = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'EPIPE';

/** commander's `error: unknown option '--foo'\n(Did you mean --bar?)`, in one line. */
const usageWords = ({ message }: CommanderError, verb: string | undefined): string => {
  const words = oneLine(message.replace(/^error: /, '').replace('(Did you mean', '(did you mean'));
  const wrong = /^option '.*?(--[\w-]+).*?' argument '(.*)' is invalid\. (.)(.*?)\.?$/.exec(words);
  // These words say already what it should be.
  if (wrong !== null) return `${wrong[1]} ${wrong[2]}: ${wrong[3]?.toLowerCase()}${wrong[4]}`;
  const isVerb = verb !== undefined && !message.includes('unknown command');
  return `${words.replace(/\.$/, '')}; see "holdfast ${isVerb ? `${verb} ` : ''}--help"`;
};

const unreachableWords = ({ address, reason }: UnreachableError): string => {
  if (reason === 'EACCES' || reason === 'EPERM') return `${address} may not be used by this user: run holdfast as root`;
  return (
    `no daemon answers on ${address} (${reason}): start one with "holdfastd --address ${address}", ` +
    'or name the one that runs with --address or HOLDFAST_ADDRESS'
  );
};

const oneLine = (text: string): string =>
  text
    .split('\n')
    .map((line) => plain(line.trim()))
    .filter((line) => line !== '')
    .join(' ');
