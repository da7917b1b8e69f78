import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { ownArguments } from '../common/arguments.ts';
import { replaceFile } from '../common/atomic-file.ts';
import { messageOf, unavailable } from '../common/errdefs.ts';
import { VERSION } from '../common/version.ts';
import { closeRange } from '../native/index.ts';
import { compose } from './compose.ts';
import { type Config, loadConfig, type Overrides } from './config.ts';
import { lockDirectory, makeDirectories } from './directories.ts';
import { forwardServer } from './forward-server.ts';
import { makeLog } from './log.ts';
import { systemdNotify } from './notify.ts';
import { parseCommand, USAGE } from './options.ts';
import { checkSocketPath, grpcServer, listen } from './server.ts';
import { makeTasks } from './tasks-part.ts';

/** Highest descriptor number for close_range(2). */
const FD_MAX = 0xffff_ffff;
/** How long calls under way may go on after SIGTERM before they are cut, milliseconds. */
const STOP_GRACE_MS = 3_000;
/** How long their clients then have to read the answer. */
const STOP_LINGER_MS = 500;
/** After this the daemon ends however things stand: the next one finds everything on the disk. */
const STOP_DEADLINE_MS = 10_000;

/** Runs the daemon until a signal ends it. */
const serve = async (overrides: Overrides): Promise<void> => {
  const passedOver: Parameters<Parameters<typeof loadConfig>[1]>[] = [];
  const config = loadConfig(overrides, (...warning) => passedOver.push(warning));
  const log = makeLog(config.logLevel);
  for (const [message, fields] of passedOver) log.warn(fields, message);
  exitOnException(log);
  checkSocketPath(config.address);
  checkSocketPath(config.ttrpcAddress);
  // What whoever started us left open is nothing for shims and runtimes; Node's own marking misses high numbers.
  closeRange(3, FD_MAX, { cloexec: true });

  await using undo = new AsyncDisposableStack(); // what is open is closed in reverse, at a failed start too
  const stop = stopSignals(log);
  const notify = systemdNotify(log);
  makeDirectories(config);
  for (const kind of ['root', 'state'] as const) {
    const lock = lockDirectory(config[kind], kind);
    undo.defer(() => lock.close());
  }
  setOomScore(config, log);

  const daemon = await compose(config, { log, stopping: stop.stopping, makeTasks });
  undo.defer(() => daemon.close());
  process.on('SIGUSR1', () => dump(config, log, daemon.dump));

  const forward = forwardServer(daemon.forward, log);
  undo.defer(() => forward.close());
  const grpc = grpcServer(daemon.services, config, { log, stopping: stop.stopping, cut: stop.cut });
  undo.defer(() => grpc.close(STOP_GRACE_MS + STOP_LINGER_MS));
  // Shims first: their events should be in before a client can ask.
  for (const [path, server] of [
    [config.ttrpcAddress, forward],
    [config.address, grpc],
  ] as const) {
    const listener = await listen(path, { config, log }, (socket, peer) => server.accept(socket, peer));
    undo.defer(() => listener.close());
  }

  log.info({ version: VERSION, address: config.address, root: config.root, state: config.state }, 'serving');
  notify('READY=1');
  void daemon.ready.then(() => log.info('all shims are loaded'));
  await stop.asked;
  notify('STOPPING=1');
};

interface Stop {
  /** Resolves at the first SIGTERM or SIGINT. */
  readonly asked: Promise<void>;
  /** Aborts then. Unavailable, never Canceled: dockerd takes that for a farewell and does not come back. */
  readonly stopping: AbortSignal;
  /** Aborts when the grace is over. */
  readonly cut: AbortSignal;
}

const stopSignals = (log: Logger): Stop => {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const stopping = new AbortController();
  const cut = new AbortController();
  const reason = unavailable('the daemon is stopping');
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping.signal.aborted) return;
    log.info({ signal }, 'stopping');
    stopping.abort(reason);
    setTimeout(() => cut.abort(reason), STOP_GRACE_MS).unref();
    setTimeout(() => {
      log.error('the daemon did not come to an end; exiting');
      process.exit(1);
    }, STOP_DEADLINE_MS).unref();
    resolve();
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  return { asked, stopping: stopping.signal, cut: cut.signal };
};

/**
 * What a client sends ends in a status, never here. An exception here is a bug that leaves the state in doubt; to end
 * and be started again costs no container anything, to go on might. A rejection that nobody took is only logged: what
 * it belonged to has failed, and the rest is whole.
 */
const exitOnException = (log: Logger): void => {
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'bug: uncaught exception; exiting');
    process.exit(70);
  });
  process.on('unhandledRejection', (reason) => log.error({ err: reason }, 'bug: a rejection that nobody took'));
};

const setOomScore = ({ oomScore }: Config, log: Logger): void => {
  if (oomScore === undefined) return;
  try {
    writeFileSync('/proc/self/oom_score_adj', String(oomScore));
  } catch (error) {
    log.warn({ err: messageOf(error), oomScore }, 'oom_score could not be set');
  }
};

/** SIGUSR1: what we know and use, into a file of the state directory; the log says where. */
const dump = (config: Config, log: Logger, state: () => unknown): void => {
  const path = join(config.state, 'dump.json');
  const usage = {
    memory: process.memoryUsage(),
    resources: process.resourceUsage(),
    handles: process.getActiveResourcesInfo(),
  };
  try {
    replaceFile(path, `${JSON.stringify({ version: VERSION, at: new Date(), ...usage, state: state() }, plain, 2)}\n`);
    log.info({ path }, 'state dumped');
  } catch (error) {
    log.error({ err: error, path }, 'state could not be dumped');
  }
};

const plain = (_: string, value: unknown): unknown => {
  if (typeof value === 'bigint') return String(value);
  return value instanceof Map ? [...value] : value;
};

const main = async (): Promise<void> => {
  const command = parseCommand(ownArguments(process.argv));
  if (command.kind === 'help') process.stdout.write(USAGE);
  else if (command.kind === 'version') process.stdout.write(`holdfastd ${VERSION}\n`);
  else await serve(command.overrides);
};

try {
  await main();
  process.exit(0);
} catch (error) {
  process.stderr.write(`holdfastd: ${messageOf(error)}\n`);
  process.exit(1);
}
