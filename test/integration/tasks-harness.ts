import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { jsonTypes, unpackAny } from '../../common/any.ts';
import { shimHash, shimPaths } from '../../common/bootstrap.ts';
import { TaskExit } from '../../proto/gen/containerd/events/event_payloads.ts';
import { ContainersDefinition } from '../../proto/gen/containerd/services/containers/v1/containers.ts';
import { EventsDefinition } from '../../proto/gen/containerd/services/events/v1/events.ts';
import {
  type CreateTaskRequest,
  type ExecProcessRequest,
  TasksDefinition,
} from '../../proto/gen/containerd/services/tasks/v1/tasks.ts';
import { VersionDefinition } from '../../proto/gen/containerd/services/version/v1/version.ts';
import type { Envelope } from '../../proto/gen/containerd/types/types.ts';
import { Status } from '../../proto/gen/containerd/v1/types/task_types.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import { type Daemon, startHoldfast, type StartOptions } from '../harness/daemon.ts';
import { must } from '../harness/exec.ts';
import type { RawClient } from '../harness/grpc.ts';
import { findLeaks, findTaskFiles } from '../harness/leaks.ts';
import { makeRootfs } from '../harness/rootfs.ts';
import { Bed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';

export const GO_SHIM = '/usr/bin/containerd-shim-runc-v2';
const SIGKILL = 9;

/** What a test may change of a container's Spec. */
export interface Spec {
  process: { args: string[] };
  hooks?: Record<string, { path: string; args?: string[] }[]>;
  annotations?: Record<string, string>;
}

export interface ContainerOptions {
  readonly runtime?: string;
  readonly options?: Any;
  readonly change?: (spec: Spec) => void;
}

/** A daemon with real containers of one test; after the test nothing of it may be left. */
export class TaskWorld {
  readonly bed: Bed;
  readonly daemon: Daemon;
  readonly rootfs: string;
  #client: RawClient | undefined;

  private constructor(bed: Bed, daemon: Daemon) {
    this.bed = bed;
    this.daemon = daemon;
    this.rootfs = makeRootfs(bed.path('rootfs'));
  }

  /** `stateBytes`: the state directory is a file system of that size. */
  static async start(t: TestContext, options: StartOptions & { stateBytes?: number } = {}): Promise<TaskWorld> {
    const bed = new Bed();
    t.after(async () => {
      if (!t.passed) bed.showLogs(t);
      await bed.remove();
    });
    if (options.stateBytes !== undefined) {
      const state = bed.folder('ours', 'state');
      await must('mount', ['-t', 'tmpfs', '-o', `size=${options.stateBytes},mode=711`, 'tmpfs', state]);
      bed.defer(() => must('umount', [state]));
    }
    const world = new TaskWorld(bed, await startHoldfast(bed, options));
    bed.defer(() => world.#hangUp());
    return world;
  }

  get #connected(): RawClient {
    if (!this.daemon.running) throw new Error('the daemon is down');
    this.#client ??= this.daemon.client();
    return this.#client;
  }

  get tasks() {
    return this.#connected.service(TasksDefinition);
  }

  get containers() {
    return this.#connected.service(ContainersDefinition);
  }

  async kill(): Promise<void> {
    await this.daemon.kill9();
    this.#hangUp();
  }

  /** Returns when it listens; what it reconciles may still go on. */
  async up(): Promise<void> {
    this.daemon.spawn();
    await eventually(
      async () => {
        if (!this.daemon.running) throw new Error(`the daemon ended at its start: ${this.daemon.log(4_000)}`);
        const client = this.daemon.client();
        try {
          return await client.service(VersionDefinition).version({}, { timeoutMs: 1_000 });
        } finally {
          client.close();
        }
      },
      { what: 'the daemon to listen' },
    );
    this.#hangUp(); // who called meanwhile has a connection that was refused
  }

  /** As after a crash. */
  async restart(): Promise<void> {
    await this.kill();
    await this.up();
  }

  /** Directory of the shim of a container, or of a group. */
  shimDirectory(group: string): string {
    const { address, namespace, state } = this.daemon;
    return shimPaths(state, shimHash({ address, namespace, group })).directory;
  }

  /** Process id of that shim. */
  shimPid(group: string): number {
    const ledger: { pid: number } = JSON.parse(readFileSync(join(this.shimDirectory(group), 'ledger.json'), 'utf8'));
    return ledger.pid;
  }

  async createContainer(id: string, args: readonly string[], options: ContainerOptions = {}): Promise<void> {
    const spec = this.#spec(id, args);
    options.change?.(spec);
    await this.containers.create({
      container: {
        ...emptyContainer,
        id,
        runtime: { name: options.runtime ?? 'io.containerd.runc.v2', options: options.options },
        spec: { typeUrl: jsonTypes.spec, value: Buffer.from(JSON.stringify(spec)) },
      },
    });
  }

  createTask(id: string, more: Partial<CreateTaskRequest> = {}) {
    return this.tasks.create({ containerId: id, ...more });
  }

  /** Container and task, started; gives its process id. */
  async run(
    id: string,
    args: readonly string[],
    options: ContainerOptions & { task?: Partial<CreateTaskRequest> } = {},
  ): Promise<number> {
    await this.createContainer(id, args, options);
    const { pid } = await this.createTask(id, options.task);
    await this.tasks.start({ containerId: id });
    return pid;
  }

  async addExec(
    id: string,
    execId: string,
    args: readonly string[],
    more: Partial<ExecProcessRequest> = {},
  ): Promise<void> {
    const process = { args, cwd: '/', env: ['PATH=/bin'], user: { uid: 0, gid: 0 } };
    const spec = { typeUrl: jsonTypes.process, value: Buffer.from(JSON.stringify(process)) };
    await this.tasks.exec({ containerId: id, execId, spec, ...more });
  }

  /** Gives its exit status. */
  async exec(id: string, execId: string, args: readonly string[]): Promise<number> {
    await this.addExec(id, execId, args);
    await this.tasks.start({ containerId: id, execId });
    const { exitStatus } = await this.tasks.wait({ containerId: id, execId });
    await this.tasks.deleteProcess({ containerId: id, execId });
    return exitStatus;
  }

  signal(id: string, signal = SIGKILL, execId = '') {
    return this.tasks.kill({ containerId: id, execId, signal });
  }

  async status(id: string, execId = ''): Promise<Status> {
    return (await this.tasks.get({ containerId: id, execId })).process?.status ?? Status.UNKNOWN;
  }

  /** Task and container, whatever they are doing. */
  async remove(id: string): Promise<void> {
    await this.signal(id).catch(() => undefined);
    await this.tasks.wait({ containerId: id }, { timeoutMs: 10_000 }).catch(() => undefined);
    await this.tasks.delete({ containerId: id });
    await this.containers.delete({ id });
  }

  /** Every event of tasks that the daemon has kept, in order. */
  async history(): Promise<Envelope[]> {
    const client = this.daemon.client();
    const filters = ['topic~=|^/tasks/|'];
    const stream = client.service(EventsDefinition).subscribe({ filters }, { metadata: { 'holdfast-since': '0' } });
    const seen: Envelope[] = [];
    stream.on('data', (envelope: Envelope) => seen.push(envelope));
    stream.on('error', () => undefined);
    // The log is read to its end without a pause; then nothing comes for a while.
    for (let count = -1; count !== seen.length;) {
      count = seen.length;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    stream.cancel();
    client.close();
    return seen;
  }

  /** What is left of tasks: processes, mounts, cgroups, sockets, files; [] when nothing is. */
  leaks(): string[] {
    const { root, state, address } = this.daemon;
    const work = join(root, 'io.containerd.runtime.v2.task', this.daemon.namespace);
    const outside = findLeaks(this.bed).filter((leak) => !leak.includes(address));
    return [...outside, ...findTaskFiles(state), ...(existsSync(work) ? readdirSync(work) : [])];
  }

  async assertNoLeaks(): Promise<void> {
    await eventually(() => this.leaks().length === 0).catch(() => assert.deepEqual(this.leaks(), [], 'left over'));
  }

  #spec(id: string, args: readonly string[]): Spec {
    const namespaces = ['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type }));
    return {
      ociVersion: '1.0.2',
      process: {
        args: [...args],
        cwd: '/',
        env: ['PATH=/bin'],
        user: { uid: 0, gid: 0 },
        capabilities: {},
        noNewPrivileges: true,
      },
      root: { path: this.rootfs },
      mounts: [
        { destination: '/proc', type: 'proc', source: 'proc' },
        // Of its own: runc makes links in it, and containers that share a root file system would meet there.
        { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=64k'] },
        { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['nosuid', 'noexec', 'newinstance'] },
      ],
      linux: { cgroupsPath: `/${this.daemon.namespace}/${id}`, namespaces },
    } as Spec; // a Spec has much more than a test may change
  }

  #hangUp(): void {
    this.#client?.close();
    this.#client = undefined;
  }
}

/** The exits of a container's processes among events. */
export const exitsOf = (events: readonly Envelope[], id: string): TaskExit[] =>
  events.flatMap(({ event }) => {
    const exit = unpackAny(event, 'containerd.events.TaskExit', TaskExit);
    return exit?.containerId === id ? [exit] : [];
  });

const emptyContainer = {
  labels: new Map<string, string>(),
  image: '',
  snapshotter: '',
  snapshotKey: '',
  createdAt: undefined,
  updatedAt: undefined,
  extensions: new Map<string, Any>(),
  sandbox: '',
};
