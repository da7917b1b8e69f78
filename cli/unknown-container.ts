import type { Client } from '../client/connect.ts';
import { isNotFound, messageOf } from '../common/errdefs.ts';
import { closeNames } from './close-names.ts';
import { Failure } from './failure.ts';

/**
 * For an error about a container that does not exist: one that says which may have been meant, of this namespace or of
 * another. Any other error stays as it is.
 */
export const explainUnknown = async (client: Client, error: unknown): Promise<unknown> => {
  // What failed first matters; the rest is about undoing it.
  if (error instanceof SuppressedError) return explainUnknown(client, error.suppressed);
  const id = isNotFound(error) ? /^container "([^"]+)"/.exec(messageOf(error))?.[1] : undefined;
  if (id === undefined) return error;
  const words = `there is no container "${id}" in namespace "${client.namespace}"`;
  const more = await hint(client, id).catch(() => undefined); // the daemon may go at any moment
  return new Failure(`${words}${more ?? '; "holdfast ps -a" lists what there is'}`, { cause: error });
};

const hint = async (client: Client, id: string): Promise<string | undefined> => {
  const close = closeNames(id, await idsOf(client));
  if (close.length > 0) return `: did you mean ${close.map((name) => `"${name}"`).join(' or ')}?`;
  for (const { name } of await client.namespaces.list()) {
    if (name !== client.namespace && (await idsOf(client.inNamespace(name))).includes(id)) {
      return `, but in "${name}": add "--namespace ${name}"`;
    }
  }
  return undefined;
};

const idsOf = async (client: Client): Promise<string[]> => {
  const ids: string[] = [];
  for await (const { id } of client.containers.list()) ids.push(id);
  return ids;
};
