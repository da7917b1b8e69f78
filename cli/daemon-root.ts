import { dirname } from 'node:path';
import type { Client } from '../client/connect.ts';

/** The directory in which a Holdfast daemon keeps what must survive; undefined for another daemon. */
export const daemonRoot = async (client: Client): Promise<string | undefined> => {
  const [metadata] = await client.server.plugins(['type==io.containerd.metadata.v1,id==sqlite']);
  const path = metadata?.exports.get('path');
  return path === undefined ? undefined : dirname(path);
};
