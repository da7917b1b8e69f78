import { closeSync } from 'node:fs';
import { BinaryLogger, type LoggerDocument } from './binary-logger.ts';
import type { OutputPlace } from './open.ts';
import { StreamsIo } from './streams.ts';
import { TerminalIo } from './terminal.ts';
import { type Place, placeOf } from './uri.ts';

/** Descriptors by name. */
export type Fds = Readonly<Record<string, number>>;

/** What a process reads and writes, as its creator asked for it. */
export interface IoRequest {
  /** Empty: /dev/null. Otherwise a path, or a URI with `fifo:`, `file:` or `binary:`. */
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
  readonly bundle: string;
  readonly namespace: string;
  readonly id: string;
  /** Empty: the container's first process. */
  readonly execId: string;
  /** Owner of pipes that we make: Options.io_uid and io_gid. */
  readonly uid: number;
  readonly gid: number;
  /** The Spec has an SELinux label: its processes may not open the client's FIFOs, but may use a pipe of ours. */
  readonly selinux: boolean;
  /** The configuration wants pipes of ours for all. */
  readonly pipes: boolean;
  /** runc attaches only pipes when it restores a checkpoint. */
  readonly restored: boolean;
}

/** The io of one process, as the ledger keeps it. Unknown fields are kept by whoever rewrites it. */
export interface IoDocument {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
  readonly stdinClosed: boolean;
  /** The readers may see the end of the output. */
  readonly released: boolean;
  /** Output goes through pipes of ours. */
  readonly relayed: boolean;
  /** Of a `binary:` place. */
  readonly logger?: LoggerDocument;
}

export interface ProcessIo {
  /** What could not be opened again if this process were to end, and is still needed. */
  readonly keepsakes: Fds;
  /** What the runtime gets as descriptors 0–2; with a terminal /dev/null each. */
  readonly stdio: readonly [number, number, number];
  /** For the runtime's --console-socket; undefined without a terminal. */
  readonly consoleSocket: string | undefined;
  /** The runtime has returned: our copies of the container's ends are closed; a terminal is received and copied from now on. */
  started(signal: AbortSignal): Promise<void>;
  /** The process has ended and the daemon has its exit: readers come to the end of the output. May be repeated. */
  release(): void;
  /** Resolves when all output that we copy has been handed on, or `ms` have passed. */
  drained(ms: number): Promise<void>;
  /** The process reads the end of its input once the client's writers are closed too. */
  closeStdin(): void;
  /** Does nothing without a terminal, as in containerd. */
  resize(columns: number, rows: number): void;
  /** Closes everything; what a reader has not read by then it may still read if it has the FIFO open. */
  close(): Promise<void>;
  /** What `resumeIo` needs; `fds` must survive an execve, those that are FIFOs can be opened again. */
  snapshot(): { readonly document: IoDocument; readonly fds: Fds };
}

/** Opens the stdio of a process that is about to be made. Errors name the path; nothing is left open then. */
export const openIo = async (request: IoRequest, signal: AbortSignal): Promise<ProcessIo> => {
  const stdout = placeOf(request.stdout);
  if (stdout.kind === 'binary') {
    const { logger, stdout: out, stderr: err } = await BinaryLogger.start(stdout, request, signal);
    if (!request.terminal) return StreamsIo.open(request, [loggerPipe(out), loggerPipe(err)], logger);
    closeSync(err);
    return TerminalIo.open(request, loggerPipe(out), logger);
  }
  if (request.terminal) return TerminalIo.open(request, stdout, undefined);
  return StreamsIo.open(request, [stdout, withoutLogger(placeOf(request.stderr))], undefined);
};

/**
 * Takes up the stdio of a process that runs: from descriptors that survived, or by opening its FIFOs again. A terminal
 * whose master did not survive is lost, and so is a pipe of ours.
 */
export const resumeIo = async (document: IoDocument, fds: Fds): Promise<ProcessIo> => {
  const logger = document.logger === undefined ? undefined : BinaryLogger.resume(document.logger);
  return (document.terminal ? TerminalIo : StreamsIo).resume(document, fds, logger);
};

const loggerPipe = (pipe: number): OutputPlace => ({ kind: 'logger', pipe });

/** The one logger of a process is that of its stdout. Source: containerd's shim. */
const withoutLogger = (place: Place): OutputPlace => (place.kind === 'binary' ? { kind: 'null' } : place);
