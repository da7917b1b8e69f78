import { accessSync, constants, statSync } from 'node:fs';
import { basename, delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { SHIM_RUNTIME } from '../../common/bootstrap.ts';
import { unknownError } from '../../common/errdefs.ts';

/** Who serves a task: our own shim, or a binary that speaks the public shim protocol. */
export type Runtime = { readonly kind: 'own' } | { readonly kind: 'foreign'; readonly binary: string };

/** Names that our own shim serves unless the configuration says otherwise: runc, whatever its clients call it. */
const OWN_RUNTIMES: ReadonlySet<string> = new Set([
  SHIM_RUNTIME,
  'io.containerd.runc.v2',
  'io.containerd.runc.v1',
  'io.containerd.runtime.v1.linux',
]);

/**
 * Finds who serves a runtime's name: `io.containerd.NAME.vN` is `containerd-shim-NAME-vN` on PATH or beside the daemon,
 * an absolute path is itself. `configured`: name to absolute path. The errors and their words are containerd's.
 */
export const resolveRuntime = (name: string, configured: ReadonlyMap<string, string>): Runtime => {
  if (name === '') throw unknownError('no runtime name');
  const path = configured.get(name) ?? (isAbsolute(name) ? name : undefined);
  if (path !== undefined) {
    if (!exists(path)) throw unknownError(`invalid custom binary path: stat ${path}: no such file or directory`);
    return { kind: 'foreign', binary: path };
  }
  if (OWN_RUNTIMES.has(name)) return { kind: 'own' };
  const binary = binaryName(name);
  if (binary === undefined) {
    throw unknownError(
      `invalid runtime name ${name}, correct runtime name should be either format like \`io.containerd.runc.v1\` or a full path to the binary`,
    );
  }
  const found = [...searchPath(), besideUs()].map((directory) => join(directory, binary)).find(isExecutable);
  if (found === undefined) {
    const quoted = `runtime ${JSON.stringify(name)} binary not installed ${JSON.stringify(binary)}`;
    throw unknownError(`${quoted}: file does not exist`);
  }
  return { kind: 'foreign', binary: resolve(found) };
};

/** Whether options for runc mean something to this binary. */
export const isRuncShim = (binary: string): boolean => /^containerd-shim-runc-v\d+$/.test(basename(binary));

const binaryName = (runtime: string): string | undefined => {
  const parts = runtime.split('.');
  return parts.length < 2 ? undefined : `containerd-shim-${parts.at(-2)}-${parts.at(-1)}`;
};

const searchPath = (): string[] => (process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '');

const besideUs = (): string => dirname(resolve(process.argv[1] ?? '.'));

const exists = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
};
