import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { jsonTypes } from '../../common/any.ts';
import { TtrpcClient } from '../../common/ttrpc/client.ts';
import { TtrpcServer } from '../../common/ttrpc/server.ts';
import {
  type TaskCreate,
  TaskDelete,
  TaskExecStarted,
  TaskExit,
  TaskStart,
} from '../../proto/gen/containerd/events/event_payloads.ts';
import { EventsDefinition } from '../../proto/gen/containerd/services/events/ttrpc/v1/events_ttrpc.ts';
import {
  CreateTaskRequest,
  ExecProcessRequest,
  KillRequest,
  TaskDefinition,
} from '../../proto/gen/containerd/task/v2/task_v2.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';

export const NAMESPACE = 'test';
const MAIN = join(import.meta.dirname, '../../shim/main.ts');

/** What the daemon of a test has been told. */
export interface SeenEvent {
  readonly topic: string;
  readonly sequence: number;
  readonly shim: string;
  readonly payload: Uint8Array;
}

/** A daemon as a shim sees one: a state directory, and a socket for events that can go away and come back. */
export class World {
  readonly directory = mkdtempSync(join(tmpdir(), 'hf-'));
  readonly state = join(this.directory, 's');
  readonly address = join(this.directory, 'd.sock');
  readonly events: SeenEvent[] = [];
  readonly cgroup = `hf-${randomBytes(4).toString('hex')}`;
  readonly shims = new Set<number>();
  /** Runs before an event is acknowledged. */
  onEvent: (event: SeenEvent) => Promise<void> = async () => undefined;
  #listener: net.Server | undefined;
  #sockets = new Set<net.Socket>();

  /** A world that is gone, with all its processes, mounts and cgroups, when the test is over. */
  static async make(t: TestContext): Promise<World> {
    const world = new World();
    t.after(() => world.#destroy());
    await world.listen();
    return world;
  }

  async listen(): Promise<void> {
    const server = new TtrpcServer();
    server.serve(EventsDefinition, {
      forward: async ({ envelope }, { metadata }) => {
        const event = {
          topic: envelope?.topic ?? '',
          sequence: Number(metadata.get('holdfast-sequence')?.[0]),
          shim: metadata.get('holdfast-shim')?.[0] ?? '',
          payload: envelope?.event?.value ?? new Uint8Array(),
        };
        await this.onEvent(event);
        this.events.push(event);
        return {};
      },
    });
    this.#listener = net.createServer((socket) => {
      this.#sockets.add(socket);
      server.accept(socket);
    });
    await new Promise<void>((resolve) => this.#listener?.listen(`${this.address}.ttrpc`, resolve));
  }

  /** As if the daemon had been killed. */
  async goAway(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
    await new Promise((resolve) => this.#listener?.close(resolve));
  }

  bundle(id: string): string {
    return join(this.state, 'io.containerd.runtime.v2.task', NAMESPACE, id);
  }

  /** A bundle with a busybox root file system. `change` edits the spec that `runc spec` gives. */
  makeBundle(id: string, args: readonly string[], change: (spec: Spec) => void = () => undefined): string {
    const bundle = this.bundle(id);
    for (const path of ['rootfs/bin', 'rootfs/proc', 'rootfs/sys', 'rootfs/dev', 'rootfs/tmp']) {
      mkdirSync(join(bundle, path), { recursive: true });
    }
    copyFileSync('/bin/busybox', join(bundle, 'rootfs/bin/busybox'));
    for (const name of ['sh', 'sleep', 'echo', 'cat', 'true', 'false', 'id', 'ls'])
      symlinkSync('busybox', join(bundle, 'rootfs/bin', name));
    spawnSync('runc', ['spec', '--bundle', bundle]);
    const spec: Spec = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8'));
    spec.process.terminal = false;
    spec.process.args = [...args];
    spec.process.rlimits = [];
    spec.root.readonly = false;
    spec.linux.cgroupsPath = `/${this.cgroup}/${id}`;
    change(spec);
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
    return bundle;
  }

  /** Runs a command of the shim's executable to its end. */
  async command(cwd: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd,
      env: { ...process.env, TTRPC_ADDRESS: `${this.address}.ttrpc`, ...options.env },
    });
    const stdout: Buffer[] = [];
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdin.end(options.input ?? '');
    const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
    return { status, stdout: Buffer.concat(stdout), stderr };
  }

  /** Starts, or finds, the shim of a bundle and connects to it. */
  async start(id: string): Promise<ShimClient> {
    const bundle = this.bundle(id);
    const result = await this.command(bundle, ['-namespace', NAMESPACE, '-address', this.address, '-id', id, 'start']);
    if (result.status !== 0) throw new Error(`start: ${result.stderr}`);
    return this.connect(result.stdout.toString());
  }

  /** Has a new process take up what a shim that died has left. */
  async adopt(shimDirectory: string): Promise<ShimClient> {
    const child = spawn(process.execPath, [MAIN, 'resume', shimDirectory], {
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    child.unref();
    const line = await new Promise<string>((resolve) =>
      child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString())),
    );
    child.stdout.destroy();
    const reply: { address?: string; error?: string } = JSON.parse(line);
    if (reply.address === undefined) throw new Error(reply.error);
    return this.connect(reply.address);
  }

  async connect(address: string): Promise<ShimClient> {
    const client = new ShimClient(address, await TtrpcClient.connect(address));
    this.shims.add((await client.call('connect', { id: '' })).shimPid);
    return client;
  }

  topics(): string[] {
    return this.events.map(({ topic }) => topic.replace('/tasks/', ''));
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    const deadline = performance.now() + 10_000;
    while (!condition()) {
      if (performance.now() > deadline)
        throw new Error(`waited in vain until ${what}; events: ${this.topics().join(' ')}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async #destroy(): Promise<void> {
    for (const pid of this.shims) if (isShim(pid)) process.kill(pid, 'SIGKILL');
    const root = join(this.state, 'runc', NAMESPACE);
    for (const id of existsSync(root) ? readdirSync(root) : [])
      spawnSync('runc', ['--root', root, 'delete', '--force', id]);
    await this.goAway();
    for (const id of existsSync(this.bundle('')) ? readdirSync(this.bundle('')) : [])
      spawnSync('umount', ['-q', '-l', join(this.bundle(id), 'rootfs')]);
    rmSync(this.directory, { recursive: true, force: true });
    removeCgroups(this.cgroup);
  }
}

/** The Task API of one shim. */
export class ShimClient {
  readonly address: string;
  readonly #client: TtrpcClient;

  constructor(address: string, client: TtrpcClient) {
    this.address = address;
    this.#client = client;
  }

  get directory(): string {
    return this.address.replace('unix://', '').replace(/\/sock$/, '');
  }

  get closed(): Promise<void> {
    return this.#client.closed;
  }

  call: TtrpcClient['call'] extends never ? never : CallTask = (method, request, options) =>
    this.#client.call(TaskDefinition, method, request as never, options) as never;

  create(bundle: string, id: string, more: Partial<CreateTaskRequest> = {}) {
    return this.call('create', CreateTaskRequest.create({ id, bundle, ...more }));
  }

  exec(id: string, execId: string, args: readonly string[], more: Partial<ExecProcessRequest> = {}) {
    const process = { args, cwd: '/', env: ['PATH=/bin'], user: { uid: 0, gid: 0 } };
    const spec: Any = { typeUrl: jsonTypes.process, value: Buffer.from(JSON.stringify(process)) };
    return this.call('exec', ExecProcessRequest.create({ id, execId, spec, ...more }));
  }

  kill(id: string, signal: number, more: Partial<KillRequest> = {}) {
    return this.call('kill', KillRequest.create({ id, signal, ...more }));
  }

  start(id: string, execId = '') {
    return this.call('start', { id, execId });
  }

  state(id: string, execId = '') {
    return this.call('state', { id, execId });
  }

  wait(id: string, execId = '') {
    return this.call('wait', { id, execId });
  }

  delete(id: string, execId = '') {
    return this.call('delete', { id, execId });
  }

  close(): void {
    this.#client.close();
  }
}

export const decodeEvent = {
  start: (event: SeenEvent) => TaskStart.decode(event.payload),
  exit: (event: SeenEvent) => TaskExit.decode(event.payload),
  delete: (event: SeenEvent) => TaskDelete.decode(event.payload),
  execStarted: (event: SeenEvent) => TaskExecStarted.decode(event.payload),
};

/** What tests edit of a spec. */
export interface Spec {
  annotations?: Record<string, string>;
  root: { readonly: boolean; path: string };
  process: { terminal: boolean; args: string[]; rlimits: unknown[]; user: { uid: number; gid: number } };
  hooks?: Record<string, { path: string; args?: string[] }[]>;
  linux: { cgroupsPath: string; namespaces: { type: string; path?: string }[]; resources: Record<string, unknown> };
}

export interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: Uint8Array;
}

export interface CommandResult {
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

type Methods = (typeof TaskDefinition)['methods'];
type CallTask = <K extends keyof Methods>(
  method: K,
  request: ReturnType<Methods[K]['requestType']['create']>,
  options?: { readonly timeoutMs?: number },
) => Promise<ReturnType<Methods[K]['responseType']['create']>>;

/** Never a process that took the pid of a shim which has ended. */
const isShim = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('main.ts');
  } catch {
    return false;
  }
};

const removeCgroups = (name: string): void => {
  for (const controller of readdirSync('/sys/fs/cgroup')) {
    const path = join('/sys/fs/cgroup', controller, name);
    if (existsSync(path)) rmdirSync(path);
  }
};

export type { TaskCreate };
