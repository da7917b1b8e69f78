import { unavailable } from '../../common/errdefs.ts';
import { type BootstrapFile, shimPaths } from '../../common/bootstrap.ts';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TaskClient } from './task-client.ts';
import { identify, type Shim } from './shim.ts';

/** Reaches a shim that should be alive, and learns its process. Unavailable or DeadlineExceeded if it is not. */
export type Connect = (shim: Shim) => Promise<void>;

export const connectShim =
  (options: { readonly state: string; readonly connectMs: number }): Connect =>
  async (shim) => {
    const { address, namespace, id, version, key } = shim.row;
    const at = {
      address: address === '' && shim.own ? `unix://${shimPaths(options.state, key).socket}` : address,
      version,
    };
    if (at.address === '') throw unavailable(`shim of ${id} has no address`);
    const client = new TaskClient({ ...at, namespace, connectMs: options.connectMs });
    try {
      const { shimPid } = await client.call('connect', { id }, { timeoutMs: options.connectMs });
      shim.serves({ ...at, ...identify(shimPid) });
    } finally {
      client.close();
    }
  };

/** What a bundle says of its container's shim; undefined: nothing. `binary` '': our own. */
export const readBootstrap = (bundle: string): { binary: string; address: string; version: number } | undefined => {
  const read = (name: string): string | undefined => {
    try {
      return readFileSync(join(bundle, name), 'utf8').trim();
    } catch {
      return undefined;
    }
  };
  const binary = read('shim-binary-path') ?? '';
  const address = read('address');
  try {
    const bootstrap: BootstrapFile = JSON.parse(read('bootstrap.json') ?? '');
    return { binary, address: bootstrap.address, version: bootstrap.version };
  } catch {
    return address === undefined ? undefined : { binary, address, version: 2 };
  }
};
