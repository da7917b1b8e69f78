import { writeFileSync } from 'node:fs';
import { exec, must, type ExecOptions, type Result } from './exec.ts';
import { makeRootfs } from './rootfs.ts';
import { Server } from './server.ts';
import { Session, type SessionOptions } from './session.ts';
import type { Bed } from './temp.ts';
import { Terminal } from './terminal.ts';

/** The image that every test of Docker Engine runs: busybox, imported once for each engine. */
export const IMAGE = 'busybox:test';

export interface DockerdOptions {
  /** The gRPC socket of the daemon that it runs on. */
  readonly containerd: string;
  readonly name?: string;
  readonly args?: readonly string[];
  /** More of its daemon.json. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** Docker Engine, unmodified, with everything of its own in the bed; no bridge, no rules in the host's firewall. */
export class Dockerd extends Server {
  /** Where clients connect: `unix:///…`. */
  readonly host: string;
  /** The containerd namespace of its containers. */
  readonly namespace: string;

  constructor(bed: Bed, { containerd, name = 'dockerd', args = [], config = {} }: DockerdOptions) {
    const folder = bed.folder(name);
    const host = `unix://${folder}/docker.sock`;
    const file = `${folder}/daemon.json`;
    const namespace = `${bed.name}-${name}`;
    // It keeps its layers itself; a newer one could leave that to containerd.
    writeFileSync(file, JSON.stringify({ features: { 'containerd-snapshotter': false }, ...config }));
    super({
      name,
      command: 'dockerd',
      args: [
        '--containerd',
        containerd,
        '--config-file',
        file,
        '--host',
        host,
        '--pidfile',
        `${folder}/pid`,
        '--data-root',
        `${folder}/data`,
        '--exec-root',
        `${folder}/exec`,
        '--storage-driver',
        'overlay2',
        '--containerd-namespace',
        namespace,
        '--containerd-plugins-namespace',
        `${namespace}-plugins`,
        '--cgroup-parent',
        `/${bed.name}-${name}`,
        '--bridge',
        'none',
        '--iptables=false',
        '--ip6tables=false',
        ...args,
      ],
      logFile: bed.path(`${name}.log`),
      ready: () => must('docker', ['--host', host, 'version'], { timeoutMs: 10_000 }),
    });
    this.host = host;
    this.namespace = namespace;
  }

  /** Runs `docker …` to its end, whatever that is. */
  run(args: readonly string[], options: ExecOptions = {}): Promise<Result> {
    return exec('docker', ['--host', this.host, ...args], options);
  }

  /** Runs `docker …` to its end, which must be 0; gives its stdout, without white space around it. */
  async docker(...args: readonly string[]): Promise<string> {
    return (await must('docker', ['--host', this.host, ...args])).trim();
  }

  /** `docker …` beside the test. */
  attach(args: readonly string[], options: SessionOptions = {}): Session {
    return new Session(['docker', '--host', this.host, ...args], options);
  }

  /** `docker …` in a terminal. */
  terminal(args: readonly string[]): Terminal {
    return new Terminal(['docker', '--host', this.host, ...args]);
  }

  /** The first number of its version. */
  async major(): Promise<number> {
    return Number.parseInt(await this.docker('version', '--format', '{{.Server.Version}}'), 10);
  }

  /** One field of `docker inspect`, by a Go template such as `.State.Status`. */
  inspect(id: string, field: string): Promise<string> {
    return this.docker('inspect', '--format', `{{${field}}}`, id);
  }

  /** Removes every container. */
  async removeAll(): Promise<void> {
    const ids = (await this.docker('ps', '--all', '--quiet')).split('\n').filter((id) => id !== '');
    if (ids.length > 0) await this.run(['rm', '--force', ...ids]);
  }
}

/** Starts an engine and gives it its image; after the file's last test its containers are removed and it is stopped. */
export const startDockerd = async (bed: Bed, options: DockerdOptions): Promise<Dockerd> => {
  const engine = new Dockerd(bed, options);
  bed.showOnFailure(engine);
  bed.defer(async () => {
    if (!engine.running) await engine.start();
    await engine.removeAll();
    await engine.stop();
    // It leaves two mounts of its own: a handle of the host's network, and, killed or with --live-restore, its root.
    for (const path of ['exec/netns/default', 'data']) await exec('umount', [bed.path(engine.name, path)]);
  });
  await engine.start();
  await importImage(bed, engine);
  return engine;
};

const importImage = async (bed: Bed, engine: Dockerd): Promise<void> => {
  const tar = bed.path(`${engine.name}.tar`);
  await must('tar', ['-C', makeRootfs(bed.path(`${engine.name}-image`)), '-cf', tar, '.']);
  await engine.docker('import', '--change', 'CMD ["sh"]', tar, IMAGE);
};
