import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Root of the repository. */
export const repository = join(import.meta.dirname, '../..');

/** The environment for programs of the system: root's usual folders, whatever the caller's PATH lacks. */
export const systemEnv = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
  ...process.env,
  PATH: [process.env.PATH ?? '', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'].join(delimiter),
  ...more,
});

/**
 * A launcher that set-up has built, by name. `HOLDFAST_BIN` names another folder of launchers, for a test of an
 * installation.
 */
export const launcher = (name: 'holdfastd' | 'holdfast' | 'containerd-shim-holdfast-v1'): string => {
  const path = join(process.env.HOLDFAST_BIN ?? join(repository, 'bin'), name);
  if (!existsSync(path)) throw new Error(`${path} is not there: run npm run setup`);
  return path;
};

/** Whether the daemon is run from its sources (`HOLDFAST_DEV=1`) instead of from what set-up has built. */
export const fromSources = process.env.HOLDFAST_DEV === '1';
