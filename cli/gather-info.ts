import type { Client } from '../client/connect.ts';
import type { Plugin } from '../client/server.ts';
import { VERSION } from '../common/version.ts';
import { daemonRoot } from './daemon-root.ts';
import { listShims, type Shim } from './list-shims.ts';
import { isLocal } from './local.ts';
import { figuresOf, type ProcessFigures } from './process-figures.ts';

export interface Info {
  readonly client: { readonly version: string };
  readonly daemon: {
    readonly version: string;
    readonly revision: string;
    readonly address: string;
    /** Undefined: the daemon does not say. */
    readonly root: string | undefined;
    readonly uuid: string;
    /** Whether all its shims are loaded. */
    readonly serving: boolean;
    /** Undefined: not on this machine, or it does not say which it is. */
    readonly process: ProcessFigures | undefined;
  };
  readonly namespaces: readonly NamespaceFigures[];
  readonly shims: readonly Shim[];
  readonly plugins: readonly Plugin[];
}

interface NamespaceFigures {
  readonly name: string;
  readonly containers: number;
  readonly tasks: number;
  readonly running: number;
}

export const gatherInfo = async (client: Client): Promise<Info> => {
  const { server } = client;
  const { version, revision } = await server.version();
  const { uuid, pid } = await server.identity();
  const names = (await client.namespaces.list()).map(({ name }) => name);
  return {
    client: { version: VERSION },
    daemon: {
      version,
      revision,
      address: client.address,
      root: await daemonRoot(client),
      uuid,
      serving: await server.isServing(),
      process: pid !== undefined && (await isLocal(client)) ? await figuresOf(pid) : undefined,
    },
    namespaces: await Promise.all(names.sort().map((name) => countsOf(client.inNamespace(name)))),
    shims: await listShims(client),
    plugins: await server.plugins(),
  };
};

const countsOf = async (client: Client): Promise<NamespaceFigures> => {
  const tasks = await client.tasks.list();
  let containers = 0;
  for await (const _ of client.containers.list()) containers += 1;
  const running = tasks.filter(({ state }) => state === 'running').length;
  return { name: client.namespace, containers, tasks: tasks.length, running };
};
