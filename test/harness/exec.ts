import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { systemEnv } from './repository.ts';
import { slowness } from './wait.ts';

/** What a command did. */
export interface Result {
  /** Exit code, or 128 + signal number. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** From spawn to the end of its output, milliseconds. */
  readonly ms: number;
}

export interface ExecOptions {
  /** After this the command is killed and the call fails, milliseconds (times `slowness`). Default 60,000. */
  readonly timeoutMs?: number;
  /** Written to its stdin, which is /dev/null otherwise. */
  readonly input?: string | Buffer;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** Runs a command to its end. Fails only if it cannot be run or takes too long; a status other than 0 is a result. */
export const exec = (command: string, args: readonly string[], options: ExecOptions = {}): Promise<Result> => {
  const { input } = options;
  const timeoutMs = (options.timeoutMs ?? 60_000) * slowness;
  const began = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  const child = spawn(command, args, {
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: systemEnv(options.env),
    cwd: options.cwd,
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
  child.stdin?.on('error', () => undefined); // it may end without reading all of it
  child.stdin?.end(input);
  const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString();
  const timer = setTimeout(() => {
    child.kill('SIGKILL');
    const said = `${text(out)}\n${text(err)}`.trim();
    reject(new Error(`${[command, ...args].join(' ')}: took longer than ${timeoutMs} ms; it said: ${said}`));
  }, timeoutMs);
  child.once('error', (error) => {
    clearTimeout(timer);
    reject(error);
  });
  child.once('close', (code, signal) => {
    clearTimeout(timer);
    resolve({
      status: exitStatus(code, signal),
      stdout: text(out),
      stderr: text(err),
      ms: performance.now() - began,
    });
  });
  return promise;
};

/** As `exec`, but a status other than 0 is an error that shows what the command said. Gives its stdout. */
export const must = async (command: string, args: readonly string[], options: ExecOptions = {}): Promise<string> => {
  const { status, stdout, stderr } = await exec(command, args, options);
  if (status !== 0) throw new Error(`${[command, ...args].join(' ')}: status ${status}: ${stderr}${stdout}`);
  return stdout;
};

/** Exit code, or 128 + signal number, as a shell gives it. */
export const exitStatus = (code: number | null, signal: NodeJS.Signals | null): number =>
  code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
