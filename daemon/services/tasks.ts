import { requireNamespace } from '../../common/namespace.ts';
import { timestampFromNanos } from '../../common/timestamp.ts';
import { type DeleteResponse, TasksDefinition } from '../../proto/gen/containerd/services/tasks/v1/tasks.ts';
import { type Call, type Service, service } from '../call.ts';
import type { Deleted } from '../store/tables/tombstones.ts';
import { checkpointTask } from '../tasks/checkpoint.ts';
import { createTask } from '../tasks/create.ts';
import { deleteExec, deleteTask } from '../tasks/delete.ts';
import { addExec } from '../tasks/exec.ts';
import type { ProcessKey } from '../tasks/keys.ts';
import { killProcess } from '../tasks/kill.ts';
import { collectMetrics } from '../tasks/metrics.ts';
import type { TaskParts } from '../tasks/parts.ts';
import { pauseTask, resumeTask } from '../tasks/pause.ts';
import { getProcess, listPids, listTasks } from '../tasks/query.ts';
import { requireProcess } from '../tasks/registry.ts';
import { startProcess } from '../tasks/start.ts';
import { closeStdin, resizePty } from '../tasks/terminal.ts';
import { updateTask } from '../tasks/update.ts';
import { waitProcess } from '../tasks/wait.ts';

export const tasksService = (parts: TaskParts): Service =>
  service(TasksDefinition, {
    create: async (request, call) => {
      const { id, namespace } = keyOf(request, call);
      const { pid } = await createTask(parts, { namespace, id }, request, call.signal);
      return { containerId: id, pid };
    },
    start: (request, call) => startProcess(parts, keyOf(request, call), call.signal),
    delete: async (request, call) => deleteResponse(await deleteTask(parts, keyOf(request, call), call.signal), ''),
    deleteProcess: async (request, call) =>
      deleteResponse(await deleteExec(parts, keyOf(request, call), call.signal), request.execId),
    get: async (request, call) => ({ process: await getProcess(parts, keyOf(request, call)) }),
    // The request's `filter` is ignored, as in containerd.
    list: async (_, call) => ({ tasks: await listTasks(parts, requireNamespace(call.namespace)) }),
    kill: async (request, call) => {
      await killProcess(parts, keyOf(request, call), request, call.signal);
      return {};
    },
    exec: async (request, call) => {
      await addExec(parts, keyOf(request, call), request, call.signal);
      return {};
    },
    resizePty: async (request, call) => {
      await resizePty(parts, keyOf(request, call), { width: request.width, height: request.height }, call.signal);
      return {};
    },
    closeIO: async (request, call) => {
      const key = keyOf(request, call);
      requireProcess(parts, key);
      if (request.stdin) await closeStdin(parts, key, call.signal);
      return {};
    },
    pause: async (request, call) => {
      await pauseTask(parts, keyOf(request, call), call.signal);
      return {};
    },
    resume: async (request, call) => {
      await resumeTask(parts, keyOf(request, call), call.signal);
      return {};
    },
    listPids: async (request, call) => ({ processes: await listPids(parts, keyOf(request, call), call.signal) }),
    checkpoint: async (request, call) => {
      await checkpointTask(parts, keyOf(request, call), request.options, call.signal);
      return { descriptors: [] };
    },
    update: async (request, call) => {
      await updateTask(parts, keyOf(request, call), request, call.signal);
      return {};
    },
    metrics: async ({ filters }, call) => ({
      metrics: await collectMetrics(parts, requireNamespace(call.namespace), filters, call.signal),
    }),
    wait: async (request, call) => {
      const { status, exitedAt } = await waitProcess(parts, keyOf(request, call), call.signal);
      return { exitStatus: status, exitedAt: timestampFromNanos(exitedAt) };
    },
  });

/** Who a request is about; '' is the task's first process. */
const keyOf = (request: { readonly containerId: string; readonly execId?: string }, call: Call): ProcessKey => ({
  namespace: requireNamespace(call.namespace),
  id: request.containerId,
  execId: request.execId ?? '',
});

const deleteResponse = ({ pid, status, exitedAt }: Deleted, id: string): DeleteResponse => ({
  id,
  pid,
  exitStatus: status,
  exitedAt: exitedAt === 0n ? undefined : timestampFromNanos(exitedAt),
});
