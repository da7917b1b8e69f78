import { unpackAny } from '../../common/any.ts';
import { groupOf } from '../../common/bootstrap.ts';
import { about, alreadyExists, invalidArgument, unimplemented } from '../../common/errdefs.ts';
import { nowNanos } from '../../native/index.ts';
import { Options } from '../../proto/gen/containerd/runc/v1/runc_options.ts';
import type { CreateTaskRequest } from '../../proto/gen/containerd/services/tasks/v1/tasks.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import type { Container } from '../containers/store.ts';
import { bundlePath, makeBundle, writeBootstrap } from '../shims/bundle.ts';
import { resolveRuntime, type Runtime } from '../shims/runtime-names.ts';
import { ownOptions } from '../shims/legacy-options.ts';
import type { Shim } from '../shims/shim.ts';
import { ownShimKey, withRuncRoot } from '../shims/spawn.ts';
import type { ShimRow } from '../store/tables/shims.ts';
import type { Stdio, TaskKey } from '../store/tables/tasks.ts';
import { initOf, keyText } from './keys.ts';
import type { TaskParts } from './parts.ts';
import { requireContainer, visibleTask } from './registry.ts';
import { undoCreate } from './undo.ts';
import { watchForeign } from './watch-foreign.ts';
import { keepHandout } from './keepsakes.ts';

const RUNC_OPTIONS = 'containerd.runc.v1.Options';

/**
 * Makes a container's first process, which then waits for Start. The intent is written down first; whatever fails, a
 * caller that goes away among it, is undone, by the same steps that a start of the daemon takes after a crash.
 */
export const createTask = (
  parts: TaskParts,
  key: TaskKey,
  request: CreateTaskRequest,
  signal: AbortSignal,
): Promise<{ readonly pid: number }> => {
  const container = requireContainer(parts, key);
  const options = request.options ?? container.runtime.options;
  const checkpoint = restorePath(container, request);
  return parts.turns.run(keyText(key), signal, async () => {
    if (visibleTask(parts, key) !== undefined) throw alreadyExists(`task ${key.id}`);
    if (parts.tasks.get(key) !== undefined) await undoCreate(parts, key); // an earlier attempt could not be undone then
    const plan = planned(parts, key, container, request, options);

    await using undo = new AsyncDisposableStack();
    begin(parts, key, plan);
    undo.defer(() => undoCreate(parts, key));
    const shim = await startShim(parts, key, plan, container, signal);
    const pid = await createInShim(shim, key, { request, plan, checkpoint, signal });
    finish(parts, key, pid);
    undo.move();
    if (parts.tasks.get(key)?.exit === undefined) parts.stdio.hold(initOf(key), plan.stdio, { input: shim.own });
    await keepHandout(parts, shim);
    if (!shim.own) watchForeign(parts, shim, initOf(key));
    return { pid };
  });
};

interface Plan {
  readonly row: ShimRow;
  readonly bundle: string;
  readonly stdio: Stdio;
  readonly options: Any | undefined;
}

/** All that can be known, and refused, before anything is done. */
const planned = (
  parts: TaskParts,
  key: TaskKey,
  container: Container,
  request: CreateTaskRequest,
  options: Any | undefined,
): Plan => {
  const { stdin, stdout, stderr, terminal } = request;
  if (request.taskApiAddress !== '') throw unimplemented('task_api_address');
  try {
    const runtime = runtimeOf(parts, request.runtimePath || container.runtime.name);
    const binary = runtime.kind === 'own' ? '' : runtime.binary;
    const group = runtime.kind === 'own' ? groupOf(key.id, annotationsOf(container)) : key.id;
    const shimKey = runtime.kind === 'own' ? ownShimKey(parts.shims.parts, key.namespace, group) : keyText(key);
    const known = parts.shimTable.get(shimKey);
    const unknown = { address: '', version: 2, pid: 0, startTime: 0n, bootId: parts.bootId };
    return {
      row: known?.binary === binary ? known : { key: shimKey, ...key, group, binary, ...unknown },
      bundle: bundlePath(parts.config, key),
      stdio: { stdin, stdout, stderr, terminal },
      options:
        binary === ''
          ? ownOptions(container.runtime.options, request.options)
          : withRuncRoot(binary, options, `${parts.config.state}/runc`),
    };
  } catch (error) {
    throw about('failed to start shim', error);
  }
};

const runtimeOf = (parts: TaskParts, name: string): Runtime => {
  try {
    return resolveRuntime(name, parts.config.runtimes);
  } catch (error) {
    throw about('failed to resolve runtime path', error);
  }
};

/** Before the first side effect. Nobody waits for the disk: what this tells of does not survive a power cut either. */
const begin = (parts: TaskParts, key: TaskKey, { row, bundle, stdio }: Plan): void => {
  parts.heard.delete(keyText(key)); // its timer must not remove the tombstone of the next
  parts.db.transaction(() => {
    parts.tombstones.clear(key);
    parts.intents.record({ ...key, verb: 'create', begunAt: nowNanos() });
    parts.shimTable.put(row);
    parts.tasks.insert({
      ...key,
      shim: row.key,
      bundle,
      status: 'creating',
      pid: 0,
      stdio,
      stdinClosed: false,
      exit: undefined,
      announced: false,
      changedAt: nowNanos(),
    });
  });
};

const startShim = async (
  parts: TaskParts,
  key: TaskKey,
  { row, options }: Plan,
  container: Container,
  signal: AbortSignal,
): Promise<Shim> => {
  try {
    const bundle = await makeBundle(parts.config, key, container.spec.value);
    parts.shimLogs.open(bundle, key);
    const shim =
      row.binary === ''
        ? await parts.shims.acquireOwn(row, runcOptions(options)?.shimCgroup ?? '')
        : await parts.shims.acquireForeign(row, { ...key, bundle, options }, signal);
    await writeBootstrap(bundle, shim.row);
    return shim;
  } catch (error) {
    throw about('failed to start shim', row.binary === '' ? error : about('start failed', error));
  }
};

const createInShim = async (
  shim: Shim,
  { id }: TaskKey,
  {
    request,
    plan,
    checkpoint,
    signal,
  }: { request: CreateTaskRequest; plan: Plan; checkpoint: string; signal: AbortSignal },
): Promise<number> => {
  const { bundle, stdio, options } = plan;
  try {
    const call = { id, bundle, rootfs: request.rootfs, ...stdio, checkpoint, parentCheckpoint: '', options };
    return (await shim.call('create', call, { signal })).pid;
  } catch (error) {
    throw about('failed to create shim task', error);
  }
};

/** The task is there for everybody from now on; its process may have ended already. */
const finish = (parts: TaskParts, key: TaskKey, pid: number): void =>
  parts.db.transaction(() => {
    const row = parts.tasks.get(key);
    if (row === undefined) return;
    const status = row.exit === undefined ? 'created' : 'stopped';
    parts.tasks.update(row, { status, pid: row.pid === 0 ? pid : row.pid, changedAt: nowNanos() });
    parts.intents.clear(key);
  });

/** Directory of a criu image to restore from; '': none. */
const restorePath = ({ runtime }: Container, { options, checkpoint }: CreateTaskRequest): string => {
  const given =
    options === undefined || !runtime.name.startsWith('io.containerd.runc.') ? undefined : runcOptions(options);
  if (options !== undefined && given === undefined && runtime.name.startsWith('io.containerd.runc.')) {
    throw invalidArgument(`invalid task create option for ${runtime.name}`);
  }
  const path = given?.criuImagePath ?? '';
  if (path === '' && checkpoint !== undefined) throw unimplemented('restoring from a checkpoint in the content store');
  return path;
};

const runcOptions = (options: Any | undefined): Options | undefined => unpackAny(options, RUNC_OPTIONS, Options);

const annotationsOf = ({ spec }: Container): Readonly<Record<string, string>> | undefined => {
  try {
    const { annotations }: { annotations?: Record<string, string> } = JSON.parse(
      Buffer.from(spec.value).toString('utf8'),
    );
    return annotations;
  } catch {
    return undefined; // the bundle says what is wrong with it
  }
};
