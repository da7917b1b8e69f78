import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { invalidArgument } from '../../common/errdefs.ts';

/** Pauses between two attempts to open a FIFO that nobody reads yet, milliseconds: the first, and the longest. */
const NO_READER_PAUSE_MS = { first: 1, max: 50 } as const;

/**
 * Opens a FIFO to read. It does not wait for a writer, and sees the end only after one was there and all have gone.
 * As a socket: libuv then waits for data with epoll, where reads of the file system's kind would each keep one of its
 * few threads until data comes.
 */
export const readFifo = (path: string): Socket =>
  new Socket({ fd: openFifo(path, constants.O_RDONLY), readable: true, writable: false });

/**
 * Opens a FIFO to write, once somebody reads it: what is written before that would be lost if we closed it again.
 * A write after the last reader has gone fails with EPIPE.
 */
export const writeFifo = async (path: string, signal?: AbortSignal): Promise<Socket> => {
  for (let pauseMs: number = NO_READER_PAUSE_MS.first; ; pauseMs = Math.min(pauseMs * 2, NO_READER_PAUSE_MS.max)) {
    signal?.throwIfAborted();
    try {
      return new Socket({ fd: openFifo(path, constants.O_WRONLY), readable: false, writable: true });
    } catch (error) {
      if (!hasNoReader(error)) throw error;
    }
    await pause(pauseMs, undefined, signal === undefined ? {} : { signal });
  }
};

const openFifo = (path: string, flag: number): number => {
  const fd = openSync(path, flag | constants.O_NONBLOCK | constants.O_NOCTTY);
  if (fstatSync(fd).isFIFO()) return fd;
  closeSync(fd);
  throw invalidArgument(`${path} is no FIFO`);
};

const hasNoReader = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENXIO';
