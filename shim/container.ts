import { alreadyExists, notFound } from '../common/errdefs.ts';
import { checkIdentifier } from '../common/identifiers.ts';
import { taskEvents } from './events.ts';
import { Exec, type ExecParent } from './exec.ts';
import { Init } from './init.ts';
import type { ContainerDocument, RuntimeOptions } from './ledger.ts';
import type { Process, ShimParts, Stdio } from './process.ts';
import { Runc } from './runc/runc.ts';
import { readSpec } from './spec.ts';

export interface ContainerConfig {
  readonly id: string;
  readonly bundle: string;
  readonly options: RuntimeOptions;
  readonly stdio: Stdio;
  /** Directory of a criu image to restore from; empty: a fresh container. */
  readonly checkpoint: string;
  readonly parentCheckpoint: string;
}

/** A container: its first process and those that were added. */
export class Container {
  readonly id: string;
  readonly bundle: string;
  readonly runc: Runc;
  readonly init: Init;
  readonly #parts: ShimParts;
  readonly #execs = new Map<string, Exec>();
  readonly #parent: ExecParent;

  constructor(parts: ShimParts, config: ContainerConfig) {
    const { id, bundle, options } = config;
    const facts = readSpec(bundle);
    const { binaryName, root, systemdCgroup } = options;
    const runc = new Runc({ binaryName, root, systemdCgroup, logDirectory: bundle });
    this.id = id;
    this.bundle = bundle;
    this.runc = runc;
    this.#parts = parts;
    const execsEnded = (): Promise<unknown> => this.#execsEnded();
    const { namespace, stdio, state } = parts.identity;
    const ownRoot = options.root.startsWith(`${state}/`);
    const init = new Init(parts, { ...config, namespace, runc, facts, execsEnded, ownRoot, pipes: stdio === 'pipe' });
    this.init = init;
    this.#parent = {
      bundle,
      options,
      runc,
      selinuxLabel: facts.selinuxLabel,
      get ended() {
        return init.ended;
      },
      checkOom: () => init.checkOom(),
    };
  }

  /** Takes up a container of an earlier life of the shim. */
  static async adopt(
    parts: ShimParts,
    id: string,
    document: ContainerDocument,
    fds: ContainerDescriptors,
  ): Promise<Container> {
    const { bundle, options, checkpoint, parentCheckpoint } = document;
    const container = new Container(parts, {
      id,
      bundle,
      options,
      checkpoint,
      parentCheckpoint,
      stdio: stdioOf(document),
    });
    for (const [execId, exec] of Object.entries(document.execs)) {
      const process = new Exec(parts, container.#parent, { id, execId }, stdioOf(exec));
      container.#execs.set(execId, process);
      await process.adopt(exec, fds(execId));
    }
    await container.init.adopt(document, fds(''));
    return container;
  }

  /** The first process, or the exec of that id; NotFound. */
  process(execId: string): Init | Exec {
    return execId === '' ? this.init : this.exec(execId);
  }

  exec(execId: string): Exec {
    const exec = this.#execs.get(execId);
    if (exec === undefined) throw notFound(`process does not exist ${execId}`);
    return exec;
  }

  /** Adds a process that `start` will run; `spec` is the JSON of an OCI Process. */
  addExec(execId: string, stdio: Stdio, spec: string): void {
    checkIdentifier(execId);
    if (this.#execs.has(execId)) throw alreadyExists(`id ${execId}`);
    this.init.allow('exec');
    const exec = new Exec(this.#parts, this.#parent, { id: this.id, execId }, stdio);
    exec.prepare(spec);
    this.#execs.set(execId, exec);
    this.#parts.save();
    const { topic, payload } = taskEvents.execAdded(this.id, execId);
    this.#parts.outbox.append(topic, payload);
  }

  forgetExec(execId: string): void {
    this.#execs.delete(execId);
  }

  /** The exec whose process has that pid. */
  execOf(pid: number): Exec | undefined {
    return [...this.#execs.values()].find((exec) => exec.pid === pid);
  }

  /** What is left when the container is deleted: execs that nobody deleted. */
  async closeExecs(): Promise<void> {
    await Promise.all([...this.#execs.values()].map((exec) => exec.closeIo()));
  }

  get processes(): readonly Process[] {
    return [this.init, ...this.#execs.values()];
  }

  snapshot(): ContainerDocument {
    const execs = Object.fromEntries([...this.#execs].map(([execId, exec]) => [execId, exec.snapshot()]));
    return { ...this.init.snapshot(), execs };
  }

  /** Starts under way come to their end first: they may bring one more process that has to end. */
  async #execsEnded(): Promise<void> {
    await Promise.all([...this.#execs.values()].map((exec) => exec.settled));
    const running: Process[] = [...this.#execs.values()].filter((exec) => exec.state === 'running');
    await Promise.all(running.map((exec) => exec.exited));
  }
}

/** Descriptors that have survived for a process, by the exec's id. */
export type ContainerDescriptors = (execId: string) => Readonly<Record<string, number>>;

const stdioOf = ({ stdin, stdout, stderr, terminal }: Stdio): Stdio => ({ stdin, stdout, stderr, terminal });
