import { closeSync, constants, fchownSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { about, invalidArgument } from '../../common/errdefs.ts';
import { isFifo, pipe, setNonblocking } from '../../native/index.ts';
import { CopiedInput } from './copied-input.ts';
import { CopiedOutput } from './copied-output.ts';
import { DirectInput, DirectOutput, handedOver } from './direct.ts';
import { FifoInput } from './input.ts';
import { FifoOutput } from './output.ts';
import type { IoRequest } from './process-io.ts';
import { fifoSink, fileSink, nullSink, type Sink } from './sinks.ts';
import type { Stream } from './stream.ts';
import type { Place } from './uri.ts';

/** A stream of a process that is about to be made. */
export interface Opened {
  readonly stream: Stream;
  /** The process's own end, which waits when it must; ours to close once the runtime has it. */
  readonly end: number;
}

/** `logger`: the writing end of the pipe of a `binary:` logger; passes into our hands. */
export type OutputPlace =
  | Exclude<Place, { readonly kind: 'binary' }>
  | { readonly kind: 'logger'; readonly pipe: number };

export const openNull = (): Opened => ({ stream: handedOver, end: openSync('/dev/null', constants.O_RDWR) });

/** What a process is to read. */
export const openInput = (place: Place, request: IoRequest): Opened => {
  if (place.kind === 'null') return openNull();
  if (place.kind === 'binary') throw invalidArgument('a binary logger cannot be read from');
  return named(place.path, () => {
    if (!isFifo(place.path)) return { stream: handedOver, end: openWaiting(place.path, constants.O_RDONLY) };
    const { input, readEnd } = FifoInput.open(place.path, { blocking: !isRelayed(request) });
    if (!isRelayed(request)) return { stream: new DirectInput(input), end: readEnd };
    const { read, write } = ownedPipe(request);
    setNonblocking(write, true);
    return { stream: new CopiedInput(readEnd, input, { pipe: write }), end: read };
  });
};

/** Where a process is to write. */
export const openOutput = (place: OutputPlace, request: IoRequest): Opened => {
  if (place.kind === 'null') return openNull();
  if (place.kind === 'logger') return { stream: handedOver, end: place.pipe };
  return named(place.path, () => {
    if (isRelayed(request)) return relayed(openSink(place), request);
    if (place.kind === 'file' || !isFifo(place.path)) return { stream: handedOver, end: openFile(place) };
    const output = FifoOutput.open(place.path);
    try {
      return { stream: new DirectOutput(output), end: output.openForProcess() };
    } catch (error) {
      output.close();
      throw error;
    }
  });
};

/** Where output goes that comes to us first. */
export const openSink = (place: OutputPlace): Sink => {
  if (place.kind === 'null') return nullSink;
  if (place.kind === 'logger') throw new TypeError('a logger reads from the pipe itself');
  return named(place.path, () =>
    place.kind === 'path' && isFifo(place.path) ? fifoSink(FifoOutput.open(place.path)) : fileSink(openFile(place)),
  );
};

/** Made if it is missing where it was asked for as `file:`; a bare path must be there. */
export const openFile = ({ kind, path }: { readonly kind: 'file' | 'path'; readonly path: string }): number => {
  const append = constants.O_WRONLY | constants.O_APPEND;
  if (kind === 'path') return openWaiting(path, append);
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  return openWaiting(path, append | constants.O_CREAT);
};

const FILE_MODE = 0o644;

/** Opened without waiting, in case it is a FIFO or a device after all; the process's reads and writes wait. */
const openWaiting = (path: string, flags: number): number => {
  const fd = openSync(path, flags | constants.O_NONBLOCK | constants.O_NOCTTY, FILE_MODE);
  setNonblocking(fd, false);
  return fd;
};

const relayed = (sink: Sink, request: IoRequest): Opened => {
  const { read, write } = ownedPipe(request);
  setNonblocking(read, true);
  return { stream: new CopiedOutput(read, 'pipe', sink), end: write };
};

/** The process may open it again by name (/dev/stdout), as its own user. */
const ownedPipe = ({ uid, gid }: IoRequest): { readonly read: number; readonly write: number } => {
  const ends = pipe();
  try {
    fchownSync(ends.read, uid, gid);
    fchownSync(ends.write, uid, gid);
    return ends;
  } catch (error) {
    for (const fd of [ends.read, ends.write]) closeSync(fd);
    throw error;
  }
};

/** Whether the process gets pipes of ours instead of the client's FIFOs. */
export const isRelayed = ({ pipes, selinux, restored }: IoRequest): boolean => pipes || selinux || restored;

const named = <T>(path: string, open: () => T): T => {
  try {
    return open();
  } catch (error) {
    throw about(`opening ${path} failed`, error);
  }
};
