import { dirname, join } from 'node:path';
import type { ShimIdentity } from '../common/bootstrap.ts';

/** The directory below the state root that holds the bundles of all namespaces. Source: containerd's runtime plugin id. */
const TASKS = 'io.containerd.runtime.v2.task';

/** `<state>/io.containerd.runtime.v2.task/<namespace>/<id>` of the container that a shim was started for. */
export const bundleOf = ({ state, namespace, id }: Pick<ShimIdentity, 'state' | 'namespace' | 'id'>): string =>
  join(state, TASKS, namespace, id);

/** The state root of the daemon that made a bundle. */
export const stateOf = (bundle: string): string => dirname(dirname(dirname(bundle)));
