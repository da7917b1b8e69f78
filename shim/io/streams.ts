import { closeSync } from 'node:fs';
import { isFifo } from '../../native/index.ts';
import type { BinaryLogger } from './binary-logger.ts';
import { CopiedInput } from './copied-input.ts';
import { CopiedOutput } from './copied-output.ts';
import { DirectInput, DirectOutput, handedOver } from './direct.ts';
import { FifoInput } from './input.ts';
import { isRelayed, openFile, openInput, openOutput, type OutputPlace } from './open.ts';
import { FifoOutput } from './output.ts';
import type { Fds, IoDocument, IoRequest, ProcessIo } from './process-io.ts';
import { fifoSink, fileSink, nullSink, type Sink } from './sinks.ts';
import { prefixed, type Stream, unprefixed, withoutInputWriter } from './stream.ts';
import { placeOf } from './uri.ts';
import { within } from '../within.ts';

/** One stream for each descriptor from 0 on. */
type Streams = readonly [Stream & { closeStdin?(): void }, Stream, Stream];

/** The stdio of a process without a terminal. */
export class StreamsIo implements ProcessIo {
  readonly consoleSocket = undefined;
  readonly #streams: Streams;
  readonly #logger: BinaryLogger | undefined;
  #ends: readonly [number, number, number] | undefined;
  #document: IoDocument;

  private constructor(
    streams: Streams,
    document: IoDocument,
    own: { readonly logger?: BinaryLogger | undefined; readonly ends?: readonly [number, number, number] },
  ) {
    this.#streams = streams;
    this.#document = document;
    this.#logger = own.logger;
    this.#ends = own.ends;
  }

  /** `places` are those of stdout and stderr. The logger and its pipes pass into our hands, on failure too. */
  static async open(
    request: IoRequest,
    places: readonly [OutputPlace, OutputPlace],
    logger: BinaryLogger | undefined,
  ): Promise<StreamsIo> {
    await using undo = new AsyncDisposableStack();
    undo.defer(() => logger?.close());
    for (const place of places) if (place.kind === 'logger') undo.defer(() => closeSync(place.pipe));
    const opened = [];
    const steps = [
      () => openInput(placeOf(request.stdin), request),
      ...places.map((place) => () => openOutput(place, request)),
    ];
    for (const step of steps) {
      const one = step();
      opened.push(one);
      undo.defer(async () => {
        await one.stream.close();
        if (!places.some((place) => place.kind === 'logger' && place.pipe === one.end)) closeSync(one.end);
      });
    }
    undo.move();
    const [stdin, stdout, stderr] = opened as [(typeof opened)[0], (typeof opened)[0], (typeof opened)[0]]; // one a step
    return new StreamsIo([stdin.stream, stdout.stream, stderr.stream], documentOf(request, logger), {
      logger,
      ends: [stdin.end, stdout.end, stderr.end],
    });
  }

  static resume(document: IoDocument, fds: Fds, logger: BinaryLogger | undefined): StreamsIo {
    const streams: Streams = [
      orHandedOver(() => resumeInput(document, unprefixed('stdin', fds))),
      orHandedOver(() => resumeOutput(document, document.stdout, unprefixed('stdout', fds))),
      orHandedOver(() => resumeOutput(document, document.stderr, unprefixed('stderr', fds))),
    ];
    const io = new StreamsIo(streams, document, { logger });
    if (document.released) io.release();
    return io;
  }

  get stdio(): readonly [number, number, number] {
    if (this.#ends === undefined) throw new TypeError('the process has its stdio already');
    return this.#ends;
  }

  async started(): Promise<void> {
    this.#closeEnds();
  }

  release(): void {
    if (!this.#document.released) this.#document = { ...this.#document, released: true };
    for (const stream of this.#streams) stream.release();
  }

  async drained(ms: number): Promise<void> {
    // A logger ends at the end of its input: then all of it is where it belongs.
    const ended = this.#logger?.ended ?? Promise.resolve();
    await within(ms, Promise.all([...this.#streams.map((stream) => stream.drained()), ended]));
  }

  closeStdin(): void {
    this.#document = { ...this.#document, stdinClosed: true };
    this.#streams[0].closeStdin?.();
  }

  resize(): void {}

  async close(): Promise<void> {
    this.#closeEnds();
    await Promise.all(this.#streams.map((stream) => stream.close()));
    await this.#logger?.close();
  }

  get keepsakes(): Fds {
    const { relayed, released } = this.#document;
    return relayed && !released ? withoutInputWriter(this.snapshot().fds) : {};
  }

  snapshot(): { readonly document: IoDocument; readonly fds: Fds } {
    const [stdin, stdout, stderr] = this.#streams;
    const fds = {
      ...prefixed('stdin', stdin.fds),
      ...prefixed('stdout', stdout.fds),
      ...prefixed('stderr', stderr.fds),
    };
    return { document: this.#document, fds };
  }

  #closeEnds(): void {
    for (const fd of this.#ends ?? []) closeSync(fd);
    this.#ends = undefined;
  }
}

/** What the ledger keeps of a request that has just been granted. */
export const documentOf = (request: IoRequest, logger: BinaryLogger | undefined): IoDocument => ({
  stdin: request.stdin,
  stdout: request.stdout,
  stderr: request.stderr,
  terminal: request.terminal,
  stdinClosed: false,
  released: false,
  relayed: isRelayed(request),
  ...(logger === undefined ? {} : { logger: logger.document }),
});

const resumeInput = (document: IoDocument, fds: Fds): Stream => {
  const place = placeOf(document.stdin);
  if (place.kind !== 'path' || document.stdinClosed || !isFifo(place.path)) return handedOver;
  const input = FifoInput.resume(place.path, fds['write']);
  if (!document.relayed) return new DirectInput(input);
  const { read, pipe } = fds;
  // Without the pipe there is nothing that we could write to.
  if (read === undefined || pipe === undefined) return new DirectInput(input);
  return new CopiedInput(read, input, { pipe });
};

const resumeOutput = (document: IoDocument, uri: string, fds: Fds): Stream => {
  const { relayed, released } = document;
  const place = placeOf(uri);
  if (place.kind === 'null' || place.kind === 'binary') return handedOver;
  const source = fds['source'];
  if (relayed && source !== undefined) {
    return new CopiedOutput(source, 'pipe', resumeSink(uri, unprefixed('sink', fds), released));
  }
  if (place.kind === 'file' || !isFifo(place.path)) return handedOver;
  // Of a pipe that did not survive nothing more will come; its reader sees the end in its time.
  const ends = relayed ? unprefixed('sink', fds) : fds;
  return new DirectOutput(released ? FifoOutput.resumeReleased(place.path, ends) : FifoOutput.open(place.path, ends));
};

/** Takes up where copied output went; `fds` are what survived of it. */
export const resumeSink = (uri: string, fds: Fds, released: boolean): Sink => {
  const place = placeOf(uri);
  if (place.kind === 'null' || place.kind === 'binary') return nullSink;
  if (place.kind === 'path' && isFifo(place.path)) {
    return fifoSink(released ? FifoOutput.resumeReleased(place.path, fds) : FifoOutput.open(place.path, fds));
  }
  return fileSink(fds['file'] ?? openFile(place));
};

/** One stream that cannot be taken up (its client has removed the FIFO) must not cost the others. */
const orHandedOver = (resume: () => Stream): Stream => {
  try {
    return resume();
  } catch {
    return handedOver;
  }
};
