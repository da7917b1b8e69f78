import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import net from 'node:net';
import type { BindHello, BindReply, BindRequest } from '../../common/bootstrap.ts';
import { type Code, CodedError, deadlineExceeded, messageOf, unavailable } from '../../common/errdefs.ts';
import { MESSAGE_FDS_MAX, sendDescriptors, socketPair } from '../../native/index.ts';
import { ProcessWatch, startTimeOf } from './processes.ts';
import type { ShimProgram } from './program.ts';

/** What is kept of a shim's last words, characters. */
const STDERR_CHARACTERS_MAX = 4_096;
/** JSON may begin with it. */
const BLANK = Buffer.from(' ');

/** Descriptors that a shim is to take up, by name (shim/resume.ts). */
export type Survivors = Readonly<Record<string, number>>;

export interface Bound {
  /** `unix:///…` */
  readonly address: string;
  readonly pid: number;
}

/** A shim has said nothing: another may be asked. */
export class NoAnswer extends CodedError {
  constructor({ code, message }: CodedError) {
    super(code, message);
  }
}

/** The socket on which a shim without an identity, a spare, is told whom to serve. */
export class Control {
  readonly #fd: number;
  readonly #socket: net.Socket;
  #child: ChildProcess | undefined;
  #stderr = '';

  /** `fd` passes into our hands. */
  constructor(fd: number) {
    this.#fd = fd;
    this.#socket = new net.Socket({ fd, readable: true, writable: true });
    this.#socket.on('error', () => undefined); // its end says enough
    this.#socket.unref();
  }

  /** Starts a process that is to be the shim: in a session of its own and in no directory of ours, it outlives us. */
  static spawn({ command, args, env }: ShimProgram): Control {
    const [ours, theirs] = socketPair('stream');
    try {
      const child = spawn(command, [...args, 'spare'], {
        cwd: '/',
        detached: true,
        env,
        stdio: ['ignore', 'ignore', 'pipe', theirs],
      });
      const control = new Control(ours);
      control.#watch(child);
      return control;
    } catch (error) {
      closeSync(ours);
      throw error;
    } finally {
      closeSync(theirs);
    }
  }

  /** Tells it whom to serve, once: rejects with what it said, or NoAnswer. What does not answer in time is killed. */
  async bind(request: Omit<BindRequest, 'descriptors'>, survivors: Survivors, deadlineMs: number): Promise<Bound> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    let text = '';
    this.#socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const [, reply, rest] = text.split('\n');
      if (rest !== undefined) resolve(reply ?? '');
    });
    const cut = (error: CodedError): void => {
      kill(text); // or it would serve without anybody knowing
      reject(new NoAnswer(error));
    };
    const timer = setTimeout(() => cut(deadlineExceeded('binding a shim')), deadlineMs);
    const onClose = (): void => cut(unavailable(`shim ended before it served: ${this.#stderr.trim()}`));
    this.#socket.on('close', onClose);
    try {
      this.#send(request, survivors);
      const reply: BindReply = JSON.parse(await promise);
      if ('error' in reply) throw new CodedError(reply.code as Code, reply.error);
      return reply;
    } finally {
      clearTimeout(timer);
      this.#socket.off('close', onClose);
      this.#socket.destroy();
      this.#child?.stderr?.destroy();
    }
  }

  /** Descriptors first, each batch with a byte to carry it; nothing has been written yet, so there is room. */
  #send(request: Omit<BindRequest, 'descriptors'>, survivors: Survivors): void {
    const names = Object.keys(survivors);
    const fds = Object.values(survivors);
    try {
      for (let at = 0; at < fds.length; at += MESSAGE_FDS_MAX) {
        const sent = sendDescriptors(this.#fd, BLANK, fds.slice(at, at + MESSAGE_FDS_MAX));
        if (sent === undefined) throw unavailable('the control socket of a shim is full');
      }
    } catch (error) {
      throw new NoAnswer(unavailable(`descriptors could not be handed over: ${messageOf(error)}`));
    }
    const whole: BindRequest = { ...request, descriptors: names };
    this.#socket.write(`${JSON.stringify(whole)}\n`);
  }

  #watch(child: ChildProcess): void {
    this.#child = child;
    child.on('error', () => this.#socket.destroy());
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARACTERS_MAX);
    });
    child.stderr?.on('error', () => undefined);
    child.unref();
  }
}

/** Ends the process that has said hello, if it has. */
const kill = (text: string): void => {
  const [hello, rest] = text.split('\n');
  if (hello === undefined || rest === undefined) return; // without its socket it will end by itself
  const { pid }: BindHello = JSON.parse(hello);
  try {
    using watch = new ProcessWatch({ pid, startTime: startTimeOf(pid) }, () => undefined);
    watch.send(9);
  } catch {} // it is gone
};
