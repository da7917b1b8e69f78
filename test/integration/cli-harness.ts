import { join } from 'node:path';
import { afterEach } from 'node:test';
import type { Daemon } from '../harness/daemon.ts';
import { exec, type ExecOptions, type Result } from '../harness/exec.ts';
import { fromSources, launcher, repository } from '../harness/repository.ts';
import { makeRootfs } from '../harness/rootfs.ts';
import { Session, type SessionOptions } from '../harness/session.ts';
import { startSubject } from '../harness/subject.ts';
import { testBed, type Bed } from '../harness/temp.ts';
import { Terminal } from '../harness/terminal.ts';

/** The CLI on a daemon of the test file's own, with a root file system to run. */
export class Cli {
  readonly bed: Bed;
  readonly daemon: Daemon;
  readonly rootfs: string;

  private constructor(bed: Bed, daemon: Daemon) {
    this.bed = bed;
    this.daemon = daemon;
    this.rootfs = makeRootfs(bed.path('rootfs'));
  }

  /** Call it once, at the top of a test file. */
  static async start(): Promise<Cli> {
    const bed = testBed();
    const cli = new Cli(bed, await startSubject(bed));
    afterEach(async () => {
      if (!cli.daemon.running) await cli.daemon.start();
      await cli.daemon.ctr.removeAll(); // what a failed test has left
    });
    return cli;
  }

  /** Runs it to its end, whatever that is. */
  run(args: readonly string[], options: ExecOptions = {}): Promise<Result> {
    const [program, ...rest] = this.command(args);
    return exec(program, rest, options);
  }

  /** Runs it to its end, which must be 0; gives its stdout. */
  async ok(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run(args);
    if (status !== 0) throw new Error(`holdfast ${args.join(' ')}: status ${status}: ${stderr}${stdout}`);
    return stdout;
  }

  /** Runs it beside the test, with pipes. */
  session(args: readonly string[], options: SessionOptions = {}): Session {
    return new Session(this.command(args), options);
  }

  /** Runs it beside the test, in a terminal. */
  terminal(args: readonly string[], size?: { readonly columns: number; readonly rows: number }): Terminal {
    return new Terminal(this.command(args), size);
  }

  /** `run` with our root file system, and what follows it. */
  inRootfs(...args: readonly string[]): string[] {
    return ['run', '--rootfs', this.rootfs, ...args];
  }

  /** As one line for a shell. */
  line(args: readonly string[]): string {
    return this.command(args)
      .map((word) => `'${word.replaceAll("'", "'\\''")}'`)
      .join(' ');
  }

  command(args: readonly string[]): [string, ...string[]] {
    return [...program(), '--address', this.daemon.address, '--namespace', this.daemon.namespace, ...args];
  }
}

const program = (): [string, ...string[]] =>
  fromSources ? [process.execPath, '--no-warnings', join(repository, 'cli/main.ts')] : [launcher('holdfast')];
