import { closeSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { messageOf } from '../../common/errdefs.ts';
import { isFifo, makeFifo, openFifo, Poller, readNow } from '../../native/index.ts';
import type { TaskKey } from '../store/tables/tasks.ts';

/** Read at once from a shim's log, bytes. */
const CHUNK_BYTES = 16 << 10;
/** A line that is longer is cut here, characters. */
const LINE_CHARACTERS_MAX = 8 << 10;

/**
 * The FIFO `log` in each bundle, into which a shim writes its log: we pass it on into ours. Opened for writing too, so
 * that it has no end, and never by fs.read, which would take a thread for each.
 */
export class ShimLogs {
  readonly #open = new Map<string, Disposable>();
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Makes the FIFO if it is not there. A log that cannot be read must not stop a container. */
  open(bundle: string, key: TaskKey): void {
    this.close(bundle);
    const log = this.#log.child({ namespace: key.namespace, container: key.id });
    const path = join(bundle, 'log');
    try {
      if (!isFifo(path)) makeFifo(path, 0o700);
      this.#open.set(bundle, follow(openFifo(path, { read: true, write: true }), log));
    } catch (error) {
      log.warn({ err: messageOf(error), path }, 'log of the shim is not read');
    }
  }

  close(bundle: string): void {
    this.#open.get(bundle)?.[Symbol.dispose]();
    this.#open.delete(bundle);
  }
}

/** One for all: it is emptied before anybody else can read. */
const chunk = Buffer.alloc(CHUNK_BYTES);

const follow = (fd: number, log: Logger): Disposable => {
  let rest = '';
  const poller = new Poller(fd, { readable: true }, () => {
    const bytes = readNow(fd, chunk);
    if (bytes === undefined || bytes === 0) return;
    const lines = (rest + chunk.toString('utf8', 0, bytes)).split('\n');
    rest = (lines.pop() ?? '').slice(-LINE_CHARACTERS_MAX);
    for (const line of lines) if (line !== '') write(log, line.slice(0, LINE_CHARACTERS_MAX));
  });
  return {
    [Symbol.dispose]: () => {
      poller.close();
      closeSync(fd);
    },
  };
};

const LEVELS: ReadonlySet<string> = new Set(['debug', 'info', 'warn', 'error']);

/** Our own shims write JSON; a Go shim's lines look like `time="…" level=warning msg="…"` and are passed on whole. */
const write = (log: Logger, line: string): void => {
  let level: string = 'info';
  let fields: object = {};
  let message = line;
  try {
    const entry: { level?: unknown; msg?: unknown; time?: unknown } = JSON.parse(line);
    const { level: theirs, msg, time: _, ...others } = entry;
    if (typeof theirs === 'string' && LEVELS.has(theirs)) level = theirs;
    if (typeof msg === 'string') [message, fields] = [msg, others];
  } catch {
    level = /\blevel=(?:error|fatal)\b/.test(line) ? 'error' : /\blevel=warn/.test(line) ? 'warn' : 'info';
  }
  // What is ordinary to a shim is, among hundreds of them, no news.
  log[level === 'info' ? 'debug' : (level as 'debug' | 'warn' | 'error')]({ shim: fields }, message);
};
