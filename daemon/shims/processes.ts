import { closeSync, readFileSync } from 'node:fs';
import { notFound } from '../../common/errdefs.ts';
import { pidfdOpen, pidfdSend, Poller, pollFlags, pollOnce } from '../../native/index.ts';

/** A process that is meant for good: a pid alone may be somebody else's by tomorrow. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks between the boot and the process's start. Source: proc_pid_stat(5), field 22. */
  readonly startTime: bigint;
}

/** Identity of the running kernel: pids and start times mean nothing under another. */
export const readBootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

/** The start time of a process; 0n if there is none of that pid, or only its zombie. */
export const startTimeOf = (pid: number): bigint => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? 0n : BigInt(fields[19] ?? 0);
  } catch {
    return 0n;
  }
};

/** A process whose end somebody waits for, whoever its parent is. */
export class ProcessWatch implements Disposable {
  readonly #pidfd: number;
  readonly #poller: Poller;
  readonly #onEnd: () => void;
  #open = true;

  /** NotFound if there is no such process (any more). `onEnd` is called once. */
  constructor(identity: ProcessIdentity, onEnd: () => void) {
    this.#onEnd = onEnd;
    this.#pidfd = pidfdOpen(identity.pid);
    // Asked after the open: had the pid gone to another in between, the times would differ.
    if (identity.startTime === 0n || startTimeOf(identity.pid) !== identity.startTime) {
      closeSync(this.#pidfd);
      throw notFound(`process ${identity.pid}`);
    }
    this.#poller = new Poller(this.#pidfd, { readable: true }, () => this.check());
  }

  /** Looks whether the process has ended, before the loop comes to tell; `onEnd` is called then. */
  check(): void {
    if (!this.#open || pollOnce(this.#pidfd, pollFlags.in) === 0) return;
    this[Symbol.dispose]();
    this.#onEnd();
  }

  /** Signals exactly this process; NotFound once it has ended. */
  send(signal: number): void {
    if (!this.#open) throw notFound('process');
    pidfdSend(this.#pidfd, signal);
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    this.#poller.close();
    closeSync(this.#pidfd);
  }
}
