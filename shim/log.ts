import { closeSync, constants, openSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { formatNanos } from '../common/timestamp.ts';
import { nowNanos, openFifo, writeNow } from '../native/index.ts';

export type Level = 'debug' | 'info' | 'warn' | 'error';

/** Where a shim says what it does. Lines are lost rather than waited for. */
export interface Log {
  debug(msg: string, fields?: LogFields): void;
  info(msg: string, fields?: LogFields): void;
  warn(msg: string, fields?: LogFields): void;
  error(msg: string, fields?: LogFields): void;
}

/** `error` is written with its cause. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * One line of JSON an entry, to `log` in the bundle: a FIFO where the daemon reads along (containerd makes one), else a
 * file. The FIFO is held open for reading too: while the daemon is away its lines wait there, and when it is full they
 * are dropped. Debug entries are written only with `debug`.
 */
export const openLog = (bundle: string | undefined, debug: boolean): Log => {
  let sink = bundle === undefined ? undefined : openSink(join(bundle, 'log'));
  const write = (level: Level, msg: string, fields: LogFields = {}): void => {
    if (sink === undefined || (level === 'debug' && !debug)) return;
    const { error, ...rest } = fields;
    const entry = {
      level,
      msg,
      time: formatNanos(nowNanos()),
      ...rest,
      ...(error === undefined ? {} : describe(error)),
    };
    try {
      sink.write(Buffer.from(`${JSON.stringify(entry, plain)}\n`));
    } catch {
      sink.close();
      sink = undefined; // a log that cannot be written must not stop a container
    }
  };
  return {
    debug: (msg, fields) => write('debug', msg, fields),
    info: (msg, fields) => write('info', msg, fields),
    warn: (msg, fields) => write('warn', msg, fields),
    error: (msg, fields) => write('error', msg, fields),
  };
};

interface Sink {
  write(line: Uint8Array): void;
  close(): void;
}

const openSink = (path: string): Sink | undefined => {
  try {
    const fifo = statSync(path, { throwIfNoEntry: false })?.isFIFO() === true;
    const fd = fifo
      ? openFifo(path, { read: true, write: true })
      : openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    return { write: (line) => void (fifo ? writeNow(fd, line) : writeSync(fd, line)), close: () => closeSync(fd) };
  } catch {
    return undefined; // no log is no reason not to start
  }
};

const describe = (error: unknown): LogFields => {
  if (!(error instanceof Error)) return { error: String(error) };
  const cause = error.cause instanceof Error ? { cause: error.cause.message } : {};
  return { error: error.message, ...cause };
};

const plain = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);
