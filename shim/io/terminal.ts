import { closeSync } from 'node:fs';
import { unavailable } from '../../common/errdefs.ts';
import { isFifo, openFifo, setNonblocking, setWindowSize } from '../../native/index.ts';
import { within } from '../within.ts';
import type { BinaryLogger } from './binary-logger.ts';
import { ConsoleSocket } from './console-socket.ts';
import { CopiedInput } from './copied-input.ts';
import { CopiedOutput } from './copied-output.ts';
import { handedOver } from './direct.ts';
import { FifoInput } from './input.ts';
import { openNull, openSink, type OutputPlace } from './open.ts';
import type { Fds, IoDocument, IoRequest, ProcessIo } from './process-io.ts';
import { loggerSink, type Sink } from './sinks.ts';
import { documentOf, resumeSink } from './streams.ts';
import { prefixed, type Stream, unprefixed, withoutInputWriter } from './stream.ts';
import { placeOf } from './uri.ts';

type Input = Stream & { closeStdin?(): void };

/** A terminal at work. */
interface Attached {
  readonly master: number;
  readonly input: Input;
  /** Owns the master. */
  readonly output: CopiedOutput;
}

/** What waits for the terminal to arrive. */
interface Waiting {
  readonly socket: ConsoleSocket;
  readonly nullFd: number;
  readonly sink: Sink;
  readonly fifo: ReturnType<typeof FifoInput.open> | undefined;
}

/** The stdio of a process with a terminal: the runtime makes it and sends us its master, which we copy from and to. */
export class TerminalIo implements ProcessIo {
  #waiting: Waiting | undefined;
  #attached: Attached | undefined;
  readonly #logger: BinaryLogger | undefined;
  #document: IoDocument;

  private constructor(document: IoDocument, logger: BinaryLogger | undefined, state: Waiting | Attached) {
    this.#document = document;
    this.#logger = logger;
    if ('socket' in state) this.#waiting = state;
    else this.#attached = state;
  }

  /** The logger and its pipe pass into our hands, on failure too. */
  static async open(request: IoRequest, place: OutputPlace, logger: BinaryLogger | undefined): Promise<TerminalIo> {
    await using undo = new AsyncDisposableStack();
    undo.defer(() => logger?.close());
    const sink = place.kind === 'logger' ? loggerSink(nonblocking(place.pipe)) : openSink(place);
    undo.defer(() => sink.close());
    const fifo = openInputFifo(request.stdin);
    if (fifo !== undefined) undo.defer(() => (fifo.input.close(), closeSync(fifo.readEnd)));
    const socket = new ConsoleSocket();
    undo.defer(() => socket.close());
    const nullFd = openNull().end;
    undo.move();
    return new TerminalIo(documentOf(request, logger), logger, { socket, nullFd, sink, fifo });
  }

  /** Unavailable: the terminal's master did not survive. */
  static resume(document: IoDocument, fds: Fds, logger: BinaryLogger | undefined): TerminalIo {
    const output = unprefixed('stdout', fds);
    const master = output['source'];
    if (master === undefined) throw unavailable('the terminal did not survive');
    const survivors = unprefixed('sink', output);
    const sink =
      survivors['logger'] === undefined
        ? resumeSink(document.stdout, survivors, document.released)
        : loggerSink(survivors['logger']);
    const attached: Attached = {
      master,
      input: resumeInput(document, unprefixed('stdin', fds), master),
      output: new CopiedOutput(master, 'terminal', sink),
    };
    const io = new TerminalIo(document, logger, attached);
    if (document.released) io.release();
    return io;
  }

  get stdio(): readonly [number, number, number] {
    const fd = this.#waiting?.nullFd;
    if (fd === undefined) throw new TypeError('the process has its terminal already');
    return [fd, fd, fd];
  }

  get consoleSocket(): string | undefined {
    return this.#waiting?.socket.path;
  }

  async started(signal: AbortSignal): Promise<void> {
    const waiting = this.#waiting;
    if (waiting === undefined) throw new TypeError('the process has its terminal already');
    const master = nonblocking(await waiting.socket.receive(signal));
    this.#waiting = undefined;
    const { fifo, sink, nullFd } = waiting;
    closeSync(nullFd);
    const input = fifo === undefined ? handedOver : new CopiedInput(fifo.readEnd, fifo.input, { terminal: master });
    this.#attached = { master, input, output: new CopiedOutput(master, 'terminal', sink) };
    if (this.#document.stdinClosed) fifo?.input.close();
  }

  release(): void {
    this.#document = { ...this.#document, released: true };
    this.#attached?.output.release();
  }

  async drained(ms: number): Promise<void> {
    const output = this.#attached?.output;
    if (output === undefined) return;
    await within(ms, output.drained());
    if (this.#logger === undefined) return;
    output.release(); // closes the logger's pipe: what it has, it may still write out
    await within(ms, this.#logger.ended);
  }

  closeStdin(): void {
    this.#document = { ...this.#document, stdinClosed: true };
    this.#attached?.input.closeStdin?.();
  }

  resize(columns: number, rows: number): void {
    if (this.#attached !== undefined) setWindowSize(this.#attached.master, { columns, rows });
  }

  async close(): Promise<void> {
    const [attached, waiting] = [this.#attached, this.#waiting];
    this.#attached = undefined;
    this.#waiting = undefined;
    // The input first: the output closes the master.
    await attached?.input.close();
    await attached?.output.close();
    if (waiting !== undefined) closeWaiting(waiting);
    await this.#logger?.close();
  }

  get keepsakes(): Fds {
    return this.#document.released ? {} : withoutInputWriter(this.snapshot().fds);
  }

  snapshot(): { readonly document: IoDocument; readonly fds: Fds } {
    const attached = this.#attached;
    if (attached === undefined) return { document: this.#document, fds: {} };
    const fds = { ...prefixed('stdin', attached.input.fds), ...prefixed('stdout', attached.output.fds) };
    return { document: this.#document, fds };
  }
}

const closeWaiting = ({ socket, nullFd, sink, fifo }: Waiting): void => {
  socket.close();
  closeSync(nullFd);
  sink.close();
  if (fifo === undefined) return;
  fifo.input.close();
  closeSync(fifo.readEnd);
};

/** Only a FIFO can be typed into; anything else, and a FIFO that is not there, is no input. */
const openInputFifo = (uri: string): ReturnType<typeof FifoInput.open> | undefined => {
  const place = placeOf(uri);
  return place.kind === 'path' ? FifoInput.open(place.path, { blocking: false }) : undefined;
};

const resumeInput = (document: IoDocument, fds: Fds, master: number): Input => {
  const place = placeOf(document.stdin);
  if (place.kind !== 'path' || document.stdinClosed || !isFifo(place.path)) return handedOver;
  // The read end first: without a reader no writer can be opened.
  const readEnd = fds['read'] ?? openFifo(place.path, { read: true });
  return new CopiedInput(readEnd, FifoInput.resume(place.path, fds['write']), { terminal: master });
};

const nonblocking = (fd: number): number => {
  setNonblocking(fd, true);
  return fd;
};
