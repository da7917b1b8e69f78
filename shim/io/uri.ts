import { invalidArgument } from '../../common/errdefs.ts';

/** Where a stream comes from or goes to. */
export type Place =
  | { readonly kind: 'null' }
  /** As the client gave it: a FIFO if it is one, else a file that exists. */
  | { readonly kind: 'path'; readonly path: string }
  /** A file that is appended to, made if it is missing, with its directories. */
  | { readonly kind: 'file'; readonly path: string }
  | LoggerPlace;

/** A program that gets the output. */
export interface LoggerPlace {
  readonly kind: 'binary';
  readonly program: string;
  readonly args: readonly string[];
}

/** What makes a text a URI instead of a path. Source: RFC 3986, section 3.1. */
const SCHEME = /^([a-z][a-z0-9+.-]*):/i;

/** Reads a stdio argument of the Task API. InvalidArgument: a scheme that nobody knows, or no path. */
export const placeOf = (text: string): Place => {
  if (text === '') return { kind: 'null' };
  const scheme = SCHEME.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) return { kind: 'path', path: text };
  switch (scheme) {
    case 'fifo':
      return { kind: 'path', path: pathOf(text) };
    case 'file':
      return { kind: 'file', path: pathOf(text) };
    case 'binary':
      return { kind: 'binary', program: pathOf(text), args: argumentsOf(text) };
    default:
      throw invalidArgument(`unknown STDIO scheme ${scheme} in ${JSON.stringify(text)}`);
  }
};

/** Read by hand: to URL, dots and drive letters in the path of a file have a meaning of their own. */
const pathOf = (text: string): string => {
  const [hierarchy = ''] = text.replace(SCHEME, '').split(/[?#]/, 1);
  const path = decoded(hierarchy.replace(/^\/\/[^/]*/, ''), text);
  if (!path.startsWith('/') || path.includes('\0'))
    throw invalidArgument(`stdio ${JSON.stringify(text)} names no path`);
  return path;
};

/** `?level=debug&quiet` is `level debug quiet ""`: each key and then its first value, as containerd passes them. */
const argumentsOf = (text: string): string[] => {
  const query = new URLSearchParams(/\?([^#]*)/.exec(text)?.[1] ?? '');
  return [...new Set(query.keys())].flatMap((key) => [key, query.get(key) ?? '']);
};

const decoded = (path: string, text: string): string => {
  try {
    return decodeURIComponent(path);
  } catch (error) {
    throw invalidArgument(`stdio ${JSON.stringify(text)} has a broken escape`, { cause: error });
  }
};
