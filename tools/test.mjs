// `npm test [FOLDER …] [--long]`: sets up, then runs the test files of the named folders of test/ (default: all but
// those of test/next, which need programs that are fetched first).
// Files of folders that start daemons run two at a time, one for each of two cores.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { node, root } from './paths.mjs';

const args = process.argv.slice(2);
const long = args.includes('--long');
const named = args.filter((arg) => !arg.startsWith('--'));
const folders = ['unit', 'contract', 'security', 'integration', 'compat', 'chaos', 'docs'];
const next = 'next';
const folderOf = (name) => name.split('/')[0];
for (const name of named) {
  if (![...folders, next].includes(folderOf(name))) {
    console.error(`no test folder "${name}"; there are: ${[...folders, next].join(', ')}`);
    process.exit(2);
  }
}

const prepare = (tool, ...options) => {
  const { status } = spawnSync(process.execPath, [join(root, 'tools', tool), ...options], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
};
prepare('setup.mjs', '--quiet');
if (named.some((name) => folderOf(name) === next)) prepare('next.mjs');

const filesBelow = (folder) =>
  readdirSync(join(root, 'test', folder), { recursive: true })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('test', folder, name))
    .sort();
const files = (named.length > 0 ? named : folders).flatMap((name) =>
  name.endsWith('.test.ts') ? [join('test', name)] : existsSync(join(root, 'test', name)) ? filesBelow(name) : [],
);
if (files.length === 0) {
  console.error('no test file found');
  process.exit(1);
}

/** How long one file may take, ms. */
const timeoutMs = long ? 7_200_000 : 600_000;
const result = spawnSync(
  node,
  ['--test', '--test-concurrency=2', `--test-timeout=${timeoutMs}`, '--test-reporter=spec', ...files],
  {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, HOLDFAST_TEST_LONG: long ? '1' : '' },
  },
);
process.exit(result.status ?? 1);
