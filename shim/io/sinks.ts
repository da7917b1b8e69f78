import { closeSync } from 'node:fs';
import { Copy, type Handover } from './copy.ts';
import { FileCopy } from './file-copy.ts';
import type { FifoOutput } from './output.ts';
import { present } from './stream.ts';

/** Where output goes that we copy. */
export interface Sink {
  /** What must survive an execve, by name. */
  readonly fds: Readonly<Record<string, number>>;
  /** Hands on what can be read from a non-blocking descriptor; `pipe`: it is one. One at a time. */
  copyFrom(fd: number, options: { readonly pipe: boolean }): Handover;
  /** There is no more to come. May be repeated. */
  release(): void;
  /** Once no copy is under way. */
  close(): void;
}

/** A client's FIFO. Output that nobody reads waits in it. */
export const fifoSink = (output: FifoOutput): Sink => ({
  get fds() {
    return present({ ...output.ends });
  },
  copyFrom: (fd, { pipe }) => new Copy(fd, { to: () => output.writeEnd, splice: pipe, discard: true }),
  release: () => output.release(),
  close: () => output.close(),
});

/** An open file. */
export const fileSink = (file: number): Sink => ({
  fds: { file },
  copyFrom: (fd) => new FileCopy(fd, file),
  release: () => undefined,
  close: () => closeSync(file),
});

/** The writing end of a logger's pipe, non-blocking. */
export const loggerSink = (pipe: number): Sink => {
  let open: number | undefined = pipe;
  const close = (): void => {
    if (open !== undefined) closeSync(open);
    open = undefined;
  };
  return {
    get fds() {
      return present({ logger: open });
    },
    copyFrom: (fd, options) => new Copy(fd, { to: () => open, splice: options.pipe, discard: true }),
    release: close,
    close,
  };
};

/** Nobody wants it; it is read all the same, so that the writer is not held up. */
export const nullSink: Sink = {
  fds: {},
  copyFrom: (fd) => new Copy(fd, { to: () => undefined }),
  release: () => undefined,
  close: () => undefined,
};
