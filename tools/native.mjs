// Builds the addon (native/), for set-up and for the sanitizers.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { node, nodeDir, root } from './paths.mjs';

const nodeGyp = join(root, 'node_modules/node-gyp/bin/node-gyp.js');
const addonApi = join(root, 'node_modules/node-addon-api');

/**
 * Builds native/build/Release/holdfast.node and gives its path. Skipped, unless `force`, if it was built from the same
 * sources for the same Node.
 */
export const buildNative = ({ force = false, quiet = false } = {}) =>
  buildOnce({ directory: join(root, 'native'), force, quiet, define: {} });

/**
 * Builds the addon in `directory`, which has a binding.gyp, with gyp's variables `define`; gives the path of the .node
 * file. Fails with what the compiler said.
 */
export const buildOnce = ({ directory, force, quiet, define }) => {
  const output = join(directory, 'build/Release/holdfast.node');
  const stamp = join(directory, 'build/.built-from');
  const now = fingerprint(define);
  if (!force && existsSync(output) && existsSync(stamp) && readFileSync(stamp, 'utf8') === now) return output;
  // Not `rebuild`: that would take the addon away from whoever uses it meanwhile.
  const defines = Object.entries(define).map(([name, value]) => `-D${name}=${value}`);
  gyp(['configure', '--directory', directory, '--nodedir', nodeDir, '--', ...defines], quiet);
  gyp(['build', '--directory', directory, '--nodedir', nodeDir], quiet);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, now);
  return output;
};

const gyp = (args, quiet) => {
  const [command, ...rest] = args;
  const { status, error, stdout, stderr } = spawnSync(
    node,
    [nodeGyp, command, ...(quiet ? ['--silent'] : []), ...rest],
    {
      cwd: root,
      encoding: 'utf8',
      stdio: quiet ? 'pipe' : ['ignore', 'inherit', 'inherit'],
      // node-gyp's own look-ups find the project's Node, whatever the machine has.
      env: { ...process.env, PATH: `${join(nodeDir, 'bin')}:${process.env.PATH}` },
    },
  );
  if (status === 0) return;
  throw new Error(`node-gyp ${command}: ${error?.message ?? `ended with ${status}`}\n${stdout ?? ''}${stderr ?? ''}`);
};

/** Of everything that the addon is made from. */
const fingerprint = (define) => {
  const hash = createHash('sha256').update(JSON.stringify(define));
  const sources = readdirSync(join(root, 'native/src'), { recursive: true }).sort();
  for (const path of [
    join(root, 'native/binding.gyp'),
    join(addonApi, 'package.json'),
    join(nodeDir, 'package.json'),
    ...sources.map((name) => join(root, 'native/src', name)),
  ])
    hash.update(`${path}\0`).update(readFileSync(path));
  return hash.digest('hex');
};
