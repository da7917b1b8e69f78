import { statSync } from 'node:fs';
import type { Client } from '../client/connect.ts';

/** Whether the daemon's process ids are ours, so that /proc tells of them. One that does not say is taken to be here. */
export const isLocal = async (client: Client): Promise<boolean> => {
  const { pidNamespace } = await client.server.identity();
  return pidNamespace === undefined || pidNamespace === statSync('/proc/self/ns/pid', { bigint: true }).ino;
};
