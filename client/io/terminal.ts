import { spawnSync, type SpawnSyncOptionsWithStringEncoding } from 'node:child_process';
import type { ReadStream, WriteStream } from 'node:tty';
import type { Process } from '../process.ts';

/** Size of a terminal in characters; undefined where `output` is none or does not know. */
export const terminalSize = (
  output: WriteStream | NodeJS.WritableStream,
): { readonly columns: number; readonly rows: number } | undefined => {
  if (!('columns' in output && 'rows' in output) || !output.isTTY) return undefined;
  const { columns, rows } = output;
  return columns > 0 && rows > 0 ? { columns, rows } : undefined;
};

/**
 * Hands every key of the local terminal to the process, Ctrl-C too, and shows what comes back as it is; disposing gives
 * the terminal back as it was. Also when this process ends in another way than by a signal that nobody can catch.
 *
 * By `stty`, as Node's own raw mode goes on turning each newline into two characters: a program that draws a screen
 * means "down" by it, and not "to the beginning of the next line".
 */
export const rawTerminal = (input: ReadStream & { readonly fd: number }): Disposable => {
  const before = stty(input.fd, '-g');
  const restore = (): void => void stty(input.fd, before);
  stty(input.fd, 'raw', '-echo');
  process.once('exit', restore);
  return {
    [Symbol.dispose]: () => {
      process.off('exit', restore);
      restore();
    },
  };
};

/** In a session of its own: a Ctrl-C that comes before the terminal is raw is ours to hear, and not stty's. */
const stty = (fd: number, ...args: readonly string[]): string => {
  const { status, stdout, error } = spawnSync('stty', args, {
    stdio: [fd, 'pipe', 'inherit'],
    encoding: 'utf8',
    detached: true,
  } as SpawnSyncOptionsWithStringEncoding); // its types do not know `detached`, which it has as spawn does
  if (status !== 0) throw error ?? new Error(`stty ${args.join(' ')}: status ${status}`);
  return stdout.trim();
};

/**
 * Gives the process's terminal the size of the local one, now and at every change (SIGWINCH), until disposed.
 * Failures are passed over: the process may have ended, or the daemon be away until the next change.
 */
export const followTerminalSize = (target: Process, output: WriteStream): Disposable => {
  const resize = (): void => {
    const size = terminalSize(output);
    if (size !== undefined) target.resize(size.columns, size.rows).catch(() => undefined);
  };
  output.on('resize', resize);
  resize();
  return { [Symbol.dispose]: () => void output.off('resize', resize) };
};
