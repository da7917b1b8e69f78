import { TtrpcClient } from '../../common/ttrpc/client.ts';
import { TaskDefinition } from '../../proto/gen/containerd/task/v2/task_v2.ts';

// A program of its own, because a test cannot become another user: asks the shim at a socket who it is.

const [socket = ''] = process.argv.slice(2);
try {
  const client = await TtrpcClient.connect(socket, { timeoutMs: 5_000 });
  const { shimPid } = await client.call(TaskDefinition, 'connect', { id: 'a' }, { timeoutMs: 5_000 });
  console.log(shimPid > 0 ? 'answered' : 'refused: no pid');
  client.close();
} catch (error) {
  console.log(`refused: ${error instanceof Error ? error.message : String(error)}`);
}
