import { constants } from 'node:os';
import { InvalidArgumentError } from 'commander';

/** First and last real-time signal, as programs see them. Source: signal(7), with glibc. */
const RTMIN = 34;
const RTMAX = 64;

/** Number of a signal: `9`, `KILL`, `SIGKILL`, `RTMIN+3`, in any case. */
export const parseSignal = (text: string): number => {
  const number = /^\d+$/.test(text) ? Number(text) : named(text.toUpperCase().replace(/^SIG/, ''));
  if (number === undefined || number < 1 || number > RTMAX) {
    throw new InvalidArgumentError('It is a name (TERM, SIGKILL, RTMIN+1) or a number from 1 to 64.');
  }
  return number;
};

const named = (name: string): number | undefined => {
  const known = new Map(Object.entries(constants.signals));
  const realTime = /^RT(?:MIN(?:\+(\d+))?|MAX(?:-(\d+))?)$/.exec(name);
  if (realTime === null) return known.get(`SIG${name}`);
  const [, above, below] = realTime;
  const number = name.startsWith('RTMIN') ? RTMIN + Number(above ?? 0) : RTMAX - Number(below ?? 0);
  return number >= RTMIN && number <= RTMAX ? number : undefined;
};
