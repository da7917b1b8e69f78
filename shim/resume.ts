import { closeSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { shimHash, shimPaths } from '../common/bootstrap.ts';
import { TtrpcServer } from '../common/ttrpc/server.ts';
import { TaskDefinition as TaskV2 } from '../proto/gen/containerd/task/v2/task_v2.ts';
import { TaskDefinition as TaskV3 } from '../proto/gen/containerd/task/v3/task_v3.ts';
import { bundleOf } from './bundle.ts';
import { Container } from './container.ts';
import { endShim } from './end.ts';
import { Reaper } from './exits.ts';
import { Forwarder } from './forward.ts';
import type { ContainerDocument, Ledger } from './ledger.ts';
import { acceptFrom, bindAt, claimDirectory } from './listen.ts';
import { openLog } from './log.ts';
import { Outbox } from './outbox.ts';
import { bootId } from './proc.ts';
import { unmountRootfs } from './rootfs.ts';
import { Runc } from './runc/runc.ts';
import { taskService } from './service.ts';
import { Shim } from './shim.ts';

/**
 * Descriptors that outlive a shim's process, by name: `lock` and `listen`, and those of a process's stdio as
 * `<container>/<exec>/<name>`. What is missing is made anew where that is possible.
 */
export type Descriptors = Readonly<Record<string, number>>;

/** A shim that is at work. */
export interface LiveShim {
  /** `unix:///…` */
  readonly address: string;
}

/**
 * The one way into life: a first start (a ledger without containers), an adoption after a crash, a new version in the
 * place of an old one. When it resolves the socket listens and all containers are known.
 */
export const resume = async (ledger: Ledger, fds: Descriptors): Promise<LiveShim> => {
  const { identity } = ledger;
  const hash = shimHash(identity);
  const paths = shimPaths(identity.state, hash);
  if (fds['lock'] === undefined) claimDirectory(paths);
  const listener = fds['listen'] ?? bindAt(paths.socket);

  const reaper = new Reaper();
  const log = openLog(logDirectory(ledger), identity.debug);
  const forwarder = new Forwarder({
    address: identity.ttrpcAddress,
    namespace: identity.namespace,
    shim: `${hash}-${ledger.life}`,
  });
  const outbox = new Outbox({ path: paths.outbox, log, forward: (event) => forwarder.forward(event) });
  const background = (what: string, work: Promise<unknown>): void =>
    void work.catch((error: unknown) => log.error(what, { error }));
  const shim = new Shim(ledger, paths, { identity, log, outbox, reaper, background });
  // What the ledger knows of may not have reached the outbox; what is told during the adoption comes after it.
  for (const sequence of sequencesIn(ledger)) outbox.reserve(sequence);
  await adoptContainers(shim, ledger, fds);
  closeUnused(shim, fds);
  await shim.handout.offer();
  shim.save();
  outbox.begin();

  const server = new TtrpcServer({ onError: (error: unknown) => log.debug('connection', { error }) });
  const handlers = taskService({ shim, shutdown: endShim({ shim, server, outbox, log }) });
  server.serve(TaskV2, handlers).serve(TaskV3, handlers);
  await acceptFrom(listener, (socket, peer) => {
    outbox.hint(); // who calls us is, or knows, a daemon that is back
    server.accept(socket, peer);
  });
  log.info('serving', { pid: process.pid, address: paths.socket, containers: shim.containers.size });
  return { address: `unix://${paths.socket}` };
};

/** The places of all exits that are written down. */
const sequencesIn = ({ containers }: Ledger): bigint[] =>
  Object.values(containers)
    .flatMap((container) => [container, ...Object.values(container.execs)])
    .flatMap(({ exit }) => (exit === undefined ? [] : [BigInt(exit.sequence)]));

/** What has survived of processes that have no use for it any more. */
const closeUnused = (shim: Shim, fds: Descriptors): void => {
  const used = new Set(
    [...shim.containers.values()]
      .flatMap(({ processes }) => processes)
      .flatMap(({ descriptors }) => Object.values(descriptors)),
  );
  for (const [name, fd] of Object.entries(fds)) if (name.includes('/') && !used.has(fd)) closeSync(fd);
};

/** Another boot: none of the processes is left, and the tasks are gone, as containerd has it. */
const adoptContainers = async (shim: Shim, ledger: Ledger, fds: Descriptors): Promise<void> => {
  const { log } = shim.parts;
  const sameBoot = ledger.bootId === bootId();
  const adopt = async (id: string, document: ContainerDocument): Promise<Container | undefined> => {
    if (!sameBoot) return undefined;
    if (document.state === 'creating') return undoCreate(id, document);
    return Container.adopt(shim.parts, id, document, (execId) => descriptorsOf(fds, `${id}/${execId}/`));
  };
  await Promise.all(
    Object.entries(ledger.containers).map(async ([id, document]) => {
      // One container that cannot be taken up must not cost the others.
      const container = await adopt(id, document).catch((error: unknown) => {
        log.error('container is lost', { id, error });
        return undefined;
      });
      shim.adopted(id, container);
    }),
  );
};

/** A crash cut the creation, and nobody was told of it: nothing of it stays. */
const undoCreate = async (id: string, document: ContainerDocument): Promise<undefined> => {
  const { bundle, options, rootfsMounted } = document;
  await new Runc({ ...options, logDirectory: bundle }).delete(id, { force: true });
  if (rootfsMounted) await unmountRootfs(bundle);
  rmSync(join(bundle, 'exits'), { recursive: true, force: true });
};

const descriptorsOf = (fds: Descriptors, prefix: string): Descriptors =>
  Object.fromEntries(
    Object.entries(fds).flatMap(([name, fd]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), fd]] : [])),
  );

/** The bundle that the shim was started for, or, that one being gone, any that it serves. */
const logDirectory = ({ identity, containers }: Ledger): string | undefined =>
  [bundleOf(identity), ...Object.values(containers).map(({ bundle }) => bundle)].find((bundle) => existsSync(bundle));
