import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { messageOf, unavailable } from '../../common/errdefs.ts';
import { sendDescriptors, socketPair } from '../../native/index.ts';
import type { ShimProgram } from './program.ts';
import { Control, NoAnswer } from './shim-control.ts';

/** What a request is besides its descriptor. */
const REQUEST = Buffer.of(1);

/** A process that forks shims. It ends by itself when we do. */
export class Zygote {
  readonly #child: ChildProcess;
  #socket: number;

  /** `onEnd`: it has ended though nobody closed it. */
  constructor({ program, log }: { readonly program: ShimProgram; readonly log: Logger }, onEnd: () => void) {
    const [ours, theirs] = socketPair('seqpacket');
    this.#socket = ours;
    try {
      this.#child = spawn(program.command, [...program.args, 'zygote'], {
        cwd: '/',
        detached: true,
        env: program.env,
        stdio: ['ignore', 'ignore', 'pipe', theirs],
      });
    } catch (error) {
      closeSync(ours);
      throw error;
    } finally {
      closeSync(theirs);
    }
    this.#child.on('error', (error) => log.error({ err: error.message }, 'zygote'));
    this.#child.once('exit', (status, signal) => {
      if (this.#socket < 0) return;
      log.warn({ pid: this.#child.pid, status, signal }, 'the zygote has ended');
      this.close();
      onEnd();
    });
    // Its children have the same standard error.
    this.#child.stderr
      ?.setEncoding('utf8')
      .on('data', (text: string) => log.warn({ text: text.trim() }, 'a shim said'));
    this.#child.stderr?.on('error', () => undefined);
    this.#child.unref();
    (this.#child.stderr as Socket | null)?.unref(); // a pipe's end, which Node types as any stream
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get alive(): boolean {
    return this.#socket >= 0 && this.#child.pid !== undefined;
  }

  /** Asks for a shim. NoAnswer: it cannot be asked. */
  fork(): Control {
    const [ours, theirs] = socketPair('stream');
    try {
      if (sendDescriptors(this.#socket, REQUEST, [theirs]) === undefined) throw unavailable('its socket is full');
      return new Control(ours);
    } catch (error) {
      closeSync(ours);
      throw new NoAnswer(unavailable(messageOf(error)));
    } finally {
      closeSync(theirs);
    }
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  close(): void {
    if (this.#socket < 0) return;
    closeSync(this.#socket);
    this.#socket = -1;
  }
}
