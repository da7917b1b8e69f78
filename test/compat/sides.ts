import assert from 'node:assert/strict';
import { closeSync, constants, openSync, rmSync, writeFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { startContainerd } from '../harness/containerd.ts';
import type { Ctr } from '../harness/ctr.ts';
import type { Daemon } from '../harness/daemon.ts';
import { type ExecOptions, must, type Result } from '../harness/exec.ts';
import type { Stub } from '../harness/grpc.ts';
import { makeRootfs } from '../harness/rootfs.ts';
import { startSubject } from '../harness/subject.ts';
import type { Bed } from '../harness/temp.ts';
import { slowness } from '../harness/wait.ts';
import { ImagesDefinition } from '../../proto/gen/containerd/services/images/v1/images.ts';
import { TasksDefinition } from '../../proto/gen/containerd/services/tasks/v1/tasks.ts';

/** One of the two daemons that a compat test runs on, with a root file system of its own. */
export class Side {
  readonly bed: Bed;
  readonly daemon: Daemon;
  readonly ctr: Ctr;
  readonly rootfs: string;
  /** The Tasks service itself, for what ctr cannot ask. */
  readonly tasks: Stub<typeof TasksDefinition>;
  readonly images: Stub<typeof ImagesDefinition>;
  readonly #hidden: (readonly [text: string, name: string])[] = [];

  constructor(bed: Bed, daemon: Daemon) {
    this.bed = bed;
    this.daemon = daemon;
    this.ctr = daemon.ctr;
    this.rootfs = makeRootfs(bed.path(daemon.name, 'rootfs'));
    const client = daemon.client();
    bed.defer(() => client.close());
    this.tasks = client.service(TasksDefinition);
    this.images = client.service(ImagesDefinition);
  }

  /** A path in a directory that only this side uses. */
  path(name: string): string {
    return this.bed.path(this.daemon.name, name);
  }

  /** `ctr run FLAGS --rootfs … ID COMMAND`, to its end. Without a command ctr's image default would be needed. */
  run(flags: readonly string[], id: string, command: readonly string[], options: ExecOptions = {}): Promise<Result> {
    return this.ctr.run(this.words(flags, id, command), options);
  }

  /** Starts a container that stays: `sleep`, unless a command is given. */
  async start(id: string, { flags = [], command = ['/bin/sleep', '1000'] }: Stay = {}): Promise<void> {
    await this.ctr.ok(...this.words(['-d', '--null-io', ...flags], id, command));
  }

  /** The arguments of `ctr run`. */
  words(flags: readonly string[], id: string, command: readonly string[]): string[] {
    return ['run', ...flags, '--rootfs', this.rootfs, id, ...command];
  }

  /** Makes a container, and no task, that runs `command`. `change` is given the Spec that ctr makes for it. */
  async create(id: string, command: readonly string[], change?: (spec: Spec) => void): Promise<void> {
    await this.ctr.ok('containers', 'create', '--rootfs', this.rootfs, id, '/bin/true');
    const spec = JSON.parse(await this.ctr.ok('containers', 'info', '--spec', id)) as Spec;
    spec.process.args = [...command];
    change?.(spec);
    const file = this.path(`${id}.json`);
    writeFileSync(file, JSON.stringify(spec));
    await this.ctr.ok('containers', 'rm', id);
    // With --config ctr takes its first argument for the id, and the root file system from the file.
    await this.ctr.ok('containers', 'create', '--config', file, id);
  }

  /**
   * Creates and starts the task of a container whose client is there when it is created, as Go's shim wants it, and
   * goes away then. Gives the paths of the FIFOs.
   */
  async startUnwatched(id: string): Promise<{ readonly stdout: string; readonly stderr: string }> {
    const [stdout, stderr] = [this.path(`${id}-stdout`), this.path(`${id}-stderr`)];
    for (const path of [stdout, stderr]) rmSync(path, { force: true }); // an earlier container's of that name
    await must('mkfifo', [stdout, stderr]);
    const client = [stdout, stderr].map((path) => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
    await this.tasks.create({ containerId: id, stdout, stderr });
    for (const fd of client) closeSync(fd);
    await this.tasks.start({ containerId: id });
    return { stdout, stderr };
  }

  /** The init process of a container's task, on the host. */
  async pid(id: string): Promise<number> {
    const line = (await this.ctr.ok('tasks', 'ls')).split('\n').find((row) => row.split(/\s+/)[0] === id);
    const pid = Number(line?.split(/\s+/)[1]);
    assert.ok(pid > 0, `no pid of ${id}`);
    return this.hide(pid, 'pid');
  }

  /** From now on `value` is shown as `<name>` in what this side says: a pid, an address. */
  hide<T extends string | number>(value: T, name: string): T {
    this.#hidden.push([String(value), `<${name}>`]);
    return value;
  }

  /** What a test saw, without what must differ between two daemons: places, times, process ids that were hidden. */
  plain(seen: unknown): unknown {
    if (typeof seen === 'string') return this.#plainText(seen);
    if (Array.isArray(seen)) return seen.map((item) => this.plain(item));
    if (typeof seen !== 'object' || seen === null) return seen;
    const entries = Object.entries(seen).filter(([key]) => key !== 'ms');
    return Object.fromEntries(entries.map(([key, value]) => [key, this.plain(value)]));
  }

  #plainText(text: string): string {
    const { rootfs, daemon } = this;
    const places: [string, string][] = [
      [rootfs, '<rootfs>'],
      [daemon.address, '<address>'],
      [daemon.state, '<state>'],
      [daemon.namespace, '<namespace>'],
      [this.path(''), '<dir>/'],
    ];
    let plain = text.replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| \+0000 UTC)/g, '<time>');
    for (const [place, name] of places) plain = plain.replaceAll(place, name);
    for (const [value, name] of this.#hidden)
      plain = plain.replace(new RegExp(`(?<!\\w)${RegExp.escape(value)}(?!\\w)`, 'g'), name);
    return plain;
  }
}

/** What a test may change of an OCI runtime spec. */
export interface Spec {
  annotations?: Record<string, string>;
  process: { user: { uid: number; gid: number; additionalGids?: number[] }; args: string[] };
  linux: {
    cgroupsPath: string;
    namespaces: { type: string; path?: string }[];
    uidMappings?: readonly IdMapping[];
    gidMappings?: readonly IdMapping[];
  };
}

interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

interface Stay {
  readonly flags?: readonly string[];
  readonly command?: readonly string[];
}

/** Does something on one side and gives what there was to see. */
export type Act<T> = (side: Side) => Promise<T>;

/**
 * A test that does the same on containerd and on our daemon and expects to see the same; `check` is told what
 * containerd shows, so that a pair of equal failures does not pass for agreement.
 */
export type Compare = <T>(promise: string, act: Act<T>, check: (seen: T) => void) => void;

/** Starts a containerd, which `theirs` configures, and a daemon of ours for this file. */
export const compareSides = (bed: Bed, { theirs = '' }: { readonly theirs?: string } = {}): Compare => {
  let sides: readonly Side[] = [];
  before(async () => {
    sides = (await Promise.all([startContainerd(bed, { config: theirs }), startSubject(bed)])).map(
      (daemon) => new Side(bed, daemon),
    );
  });
  return (promise, act, check) =>
    void test(promise, { timeout: 120_000 * slowness }, async () => {
      const outcomes = await Promise.allSettled(sides.map((side) => actAndClear(side, act)));
      const [theirs, ours] = outcomes.map((outcome, index) => {
        if (outcome.status === 'fulfilled') return outcome.value;
        throw new Error(`on ${index === 0 ? 'containerd' : 'our daemon'}: ${String(outcome.reason)}`, {
          cause: outcome.reason,
        });
      });
      if (theirs === undefined || ours === undefined) throw new Error('two sides expected');
      check(theirs.raw);
      assert.deepEqual(ours.plain, theirs.plain);
    });
};

/** Whatever a test leaves behind, the next one starts with no container. */
const actAndClear = async <T>(side: Side, act: Act<T>): Promise<{ raw: T; plain: unknown }> => {
  const outcome = await act(side).then(
    (raw) => ({ raw, plain: side.plain(raw) }),
    (error: unknown) => ({ error }),
  );
  const cleared = await side.ctr.removeAll().catch((error: unknown) => ({ error }));
  // What went wrong first is what matters.
  if ('error' in outcome) throw outcome.error;
  if (cleared !== undefined) throw cleared.error;
  return outcome;
};
