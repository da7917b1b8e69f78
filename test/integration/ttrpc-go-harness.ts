import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TtrpcClient } from '../../common/ttrpc/client.ts';
import type { CallContext } from '../../common/ttrpc/handler.ts';
import { TtrpcServer } from '../../common/ttrpc/server.ts';
import {
  EventsDefinition,
  type ForwardRequest,
} from '../../proto/gen/containerd/services/events/ttrpc/v1/events_ttrpc.ts';

const GO_SHIM = '/usr/bin/containerd-shim-runc-v2';
/** How long a program may take to do anything here, ms. */
const COMMAND_MS_MAX = 20_000;

/** The Go shim, with a real bundle, its events coming to a server of ours. */
export class GoShim {
  readonly id = `web-${randomBytes(3).toString('hex')}`;
  readonly namespace = `ttrpc-${randomBytes(3).toString('hex')}`;
  readonly bundle = mkdtempSync(join(tmpdir(), 'holdfast-go-shim-'));
  readonly forwarded: { request: ForwardRequest; context: CallContext }[] = [];
  #path = '';
  readonly #log: number;
  readonly #listener = createServer();
  readonly #server = new TtrpcServer();

  static async start(): Promise<GoShim> {
    const shim = new GoShim();
    await shim.#listen();
    await shim.#start();
    return shim;
  }

  private constructor() {
    makeRootfs(join(this.bundle, 'rootfs'));
    spawnSync('runc', ['spec', '--bundle', this.bundle]);
    const path = join(this.bundle, 'config.json');
    const spec = JSON.parse(readFileSync(path, 'utf8')) as {
      process: { terminal: boolean; args: string[]; rlimits?: unknown };
      linux: { cgroupsPath: string };
    };
    Object.assign(spec.process, { terminal: false, args: ['/bin/sleep', '1000'], rlimits: [] });
    spec.linux.cgroupsPath = `/${this.namespace}/${this.id}`;
    writeFileSync(path, JSON.stringify(spec));
    // The shim waits until somebody reads its log.
    spawnSync('mkfifo', [join(this.bundle, 'log')]);
    this.#log = openSync(join(this.bundle, 'log'), constants.O_RDWR | constants.O_NONBLOCK);
  }

  async #listen(): Promise<void> {
    this.#server.serve(EventsDefinition, {
      forward: async (request, context) => {
        this.forwarded.push({ request, context });
        return {};
      },
    });
    this.#listener.on('connection', (socket) => this.#server.accept(socket));
    await once(this.#listener.listen(this.#eventsPath), 'listening');
  }

  async #start(): Promise<void> {
    const args = ['-namespace', this.namespace, '-id', this.id, '-address', join(this.bundle, 'no.sock'), 'start'];
    const env = { ...process.env, TTRPC_ADDRESS: this.#eventsPath };
    // It also prints the address, but on a pipe that the shim itself holds open for ever.
    const command = spawn(GO_SHIM, args, { cwd: this.bundle, env, stdio: 'ignore', timeout: COMMAND_MS_MAX });
    const [code] = await once(command, 'exit');
    if (code !== 0) throw new Error(`${GO_SHIM} start: ${String(code)}`);
    this.#path = readFileSync(join(this.bundle, 'address'), 'utf8').replace('unix://', '');
  }

  /** Of its socket. */
  get path(): string {
    return this.#path;
  }

  get #eventsPath(): string {
    return join(this.bundle, 'events.ttrpc');
  }

  connect(): Promise<TtrpcClient> {
    return TtrpcClient.connect(this.path);
  }

  /** Ends what is left and removes every trace; `pid` is the shim's. */
  async remove(pid: number): Promise<void> {
    const args = ['--root', join('/run/containerd/runc', this.namespace), 'delete', '--force', this.id];
    spawnSync('runc', args, { timeout: COMMAND_MS_MAX });
    if (isGoShim(pid)) process.kill(pid, 'SIGKILL');
    await this.#server.close();
    this.#listener.close();
    closeSync(this.#log);
    spawnSync('umount', ['-q', '-l', join(this.bundle, 'rootfs')]);
    for (const path of [this.bundle, this.path, join('/run/containerd/runc', this.namespace)]) {
      rmSync(path, { recursive: true, force: true });
    }
    removeCgroups(this.namespace);
  }
}

/** A real containerd with everything of its own under one folder. */
export class PrivateContainerd {
  readonly folder = mkdtempSync(join(tmpdir(), 'holdfast-go-'));
  readonly address = join(this.folder, 'c.sock');
  readonly rootfs = join(this.folder, 'rootfs');
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;

  static async start(): Promise<PrivateContainerd> {
    const containerd = new PrivateContainerd();
    for (const end = Date.now() + COMMAND_MS_MAX; ; await sleep(50)) {
      if ((await containerd.ctr('version')).code === 0) return containerd;
      if (Date.now() > end) throw new Error('containerd does not start');
    }
  }

  private constructor() {
    makeRootfs(this.rootfs);
    const config = join(this.folder, 'config.toml');
    writeFileSync(
      config,
      [
        'version = 2',
        `root = "${this.folder}/root"`,
        `state = "${this.folder}/state"`,
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]',
        `[grpc]\naddress = "${this.address}"`,
        `[ttrpc]\naddress = "${this.ttrpcPath}"`,
      ].join('\n'),
    );
    this.#process = spawn('containerd', ['--config', config], { stdio: 'ignore' });
    this.#ended = once(this.#process, 'exit');
  }

  get ttrpcPath(): string {
    return `${this.address}.ttrpc`;
  }

  async ctr(...args: readonly string[]): Promise<{ code: number; output: string }> {
    const { status, stdout, stderr } = await new Promise<{ status: number; stdout: string; stderr: string }>(
      (resolve) =>
        execFile('ctr', ['--address', this.address, ...args], { timeout: COMMAND_MS_MAX }, (error, stdout, stderr) =>
          resolve({ status: error === null ? 0 : 1, stdout, stderr }),
        ),
    );
    return { code: status, output: stdout + stderr };
  }

  async remove(): Promise<void> {
    this.#process.kill('SIGTERM');
    await this.#ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A root file system with Debian's static busybox in it. */
const makeRootfs = (path: string): void => {
  for (const name of ['bin', 'proc', 'sys', 'dev', 'tmp']) mkdirSync(join(path, name), { recursive: true });
  copyFileSync('/bin/busybox', join(path, 'bin/busybox'));
  for (const name of ['sh', 'sleep']) symlinkSync('busybox', join(path, 'bin', name));
};

/** Never a process that has taken the pid of a shim that ended. */
const isGoShim = (pid: number): boolean => {
  try {
    return pid > 0 && readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(GO_SHIM);
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
