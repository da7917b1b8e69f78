// `npm run build`: generated code if a .proto changed, the addon, node-pty's binary (tests only), and the bundles with
// their launchers: bin/holdfastd, bin/holdfast, bin/containerd-shim-holdfast-v1.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildNative } from './native.mjs';
import { node, nodeDir, root } from './paths.mjs';

const quiet = process.argv.includes('--quiet');
const say = (text) => {
  if (!quiet) console.log(text);
};

/** Entry file → bundle. Each is one file that loads nothing later, so that an installation can be replaced under it. */
const BUNDLES = {
  'daemon/main.ts': 'dist/holdfastd.mjs',
  'daemon/store/checkpoint-worker.ts': 'dist/checkpoint-worker.mjs',
  'daemon/snapshots/file-worker.ts': 'dist/file-worker.mjs',
  'daemon/diff/worker.ts': 'dist/diff-worker.mjs',
  'shim/main.ts': 'dist/shim.mjs',
  'cli/main.ts': 'dist/holdfast.mjs',
};

/** What a bundle leaves outside: only what holds a binary of its own. */
const EXTERNAL = ['better-sqlite3'];

const filesBelow = (folder, ending) =>
  readdirSync(join(root, folder), { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((name) => ending.some((end) => name.endsWith(end)) && !name.includes('/build'))
    .sort();

const fingerprint = (files) => {
  const hash = createHash('sha256');
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(join(root, file)));
  return hash.digest('hex');
};

/** Runs `build` unless `files` are as they were at the last time that it ran well and `outputs` are there. */
const onceFor = async (name, files, outputs, build) => {
  const stamp = join(root, 'dist', `.${name}`);
  const now = fingerprint(files);
  const fresh =
    outputs.every((file) => existsSync(join(root, file))) && existsSync(stamp) && readFileSync(stamp, 'utf8') === now;
  if (fresh) return say(`${name}: as built`);
  await build();
  writeFileSync(stamp, now);
  say(`${name}: built`);
};

const must = (program, args) => {
  const { status, error, stdout, stderr } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: quiet ? 'pipe' : ['ignore', 'inherit', 'inherit'],
  });
  if (error ?? status !== 0) {
    const said = `${stdout ?? ''}${stderr ?? ''}`;
    throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? `ended with ${status}`}\n${said}`);
  }
};

const bundle = async () => {
  const { build } = await import('esbuild');
  for (const [entry, outfile] of Object.entries(BUNDLES)) {
    await build({
      entryPoints: [join(root, entry)],
      outfile: join(root, `${outfile}.new`),
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node26',
      minify: true,
      keepNames: true,
      sourcemap: false,
      legalComments: 'none',
      external: EXTERNAL,
      // CommonJS packages inside an ESM bundle ask for these three.
      banner: {
        js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);const __filename=import.meta.filename,__dirname=import.meta.dirname;",
      },
      logLevel: 'warning',
    });
    renameSync(join(root, `${outfile}.new`), join(root, outfile));
  }
};

/**
 * Flags for the daemon's Node. A call's objects live as long as the call, so a large young generation gains nothing but
 * its own size, and an old one that may double before it is looked at is garbage: with V8's defaults 20,000 small calls
 * take the daemon from 70 MB to 180; with these and half the young generation it was 110, at the same processor time.
 */
const DAEMON_NODE_FLAGS = '--no-warnings --max-semi-space-size=4 --heap-growing-percent=20';

/** Flags for the shim's Node: fewer idle threads, and a heap that stays as small as its work. */
const SHIM_NODE_FLAGS = '--single-threaded --v8-pool-size=0 --disable-sigusr1 --no-warnings --expose-gc';

/**
 * A launcher is a shell script that finds its own folder, drops what would slow Node down or change it, and becomes
 * Node. It costs a millisecond; a compiled one would cost a build for each architecture.
 */
const launcher = (file, flags) => `#!/bin/sh
self=$0
while [ -L "$self" ]; do
  link=$(readlink "$self")
  case $link in /*) self=$link ;; *) self=\${self%/*}/$link ;; esac
done
here=\${self%/*}
node=$here/../node_modules/node-linux-${process.arch}/bin/node
if [ ! -x "$node" ]; then
  echo "\${0##*/}: no installation around $here: make a symbolic link to the launcher, not a copy" >&2
  exit 126
fi
unset NODE_OPTIONS NODE_EXTRA_CA_CERTS NODE_PATH NODE_REPL_EXTERNAL_MODULE
# Marked, or Node would take --env-file and the like for its own (common/arguments.ts).
left=$#
while [ "$left" -gt 0 ]; do
  argument=$1
  shift
  set -- "$@" "=$argument"
  left=$((left - 1))
done
export NODE_COMPILE_CACHE="$here/../dist/compile-cache"
exec "$node" ${flags} "$here/../dist/${file}" "$@"
`;

const launchers = () => {
  mkdirSync(join(root, 'bin'), { recursive: true });
  const write = (name, text) => {
    const path = join(root, 'bin', name);
    writeFileSync(`${path}.new`, text);
    chmodSync(`${path}.new`, 0o755);
    renameSync(`${path}.new`, path);
  };
  write('holdfastd', launcher('holdfastd.mjs', DAEMON_NODE_FLAGS));
  write('holdfast', launcher('holdfast.mjs', '--no-warnings'));
  write('containerd-shim-holdfast-v1', launcher('shim.mjs', SHIM_NODE_FLAGS));
};

/**
 * Runs what has been built for a moment, so that V8's code for it lies in dist/compile-cache: a start of the daemon then
 * takes a quarter less, and one of a shim a sixth. Without the cache everything works as well.
 */
const warmCaches = async () => {
  const cache = join(root, 'dist/compile-cache');
  rmSync(cache, { recursive: true, force: true });
  const place = mkdtempSync(join(tmpdir(), 'holdfast-build-'));
  const env = { ...process.env, NODE_COMPILE_CACHE: cache };
  try {
    const shim = spawn(node, [...SHIM_NODE_FLAGS.split(' '), join(root, 'dist/shim.mjs'), 'zygote'], {
      env,
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    });
    spawnSync(join(root, 'bin/holdfast'), ['--version'], { stdio: 'ignore' });
    const config = join(place, 'config.toml');
    writeFileSync(config, '[tasks]\nzygote = false\n');
    const places = ['--address', join(place, 'sock'), '--root', join(place, 'root'), '--state', join(place, 'state')];
    const daemon = spawn(join(root, 'bin/holdfastd'), [...places, '--config', config], { env, stdio: 'ignore' });
    const ended = once(daemon, 'exit');
    for (let tries = 0; tries < 100 && !existsSync(join(place, 'sock')) && daemon.exitCode === null; tries += 1) {
      await sleep(50);
    }
    daemon.kill();
    await ended;
    shim.stdio[3].destroy();
    await Promise.race([once(shim, 'exit'), sleep(2_000)]);
    shim.kill('SIGKILL');
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
};

const buildPty = () =>
  must(node, [
    join(root, 'node_modules/node-gyp/bin/node-gyp.js'),
    'rebuild',
    '--silent',
    '--directory',
    join(root, 'node_modules/node-pty'),
    '--nodedir',
    nodeDir,
  ]);

mkdirSync(join(root, 'dist'), { recursive: true });
await onceFor(
  'gen',
  [...filesBelow('proto', ['.proto']), 'buf.yaml', 'buf.gen.yaml', 'tools/gen.mjs', 'package-lock.json'],
  ['proto/gen/containerd/types/types.ts'],
  () => must(node, [join(root, 'tools/gen.mjs')]),
);
buildNative({ quiet });
copyIfChanged(join(root, 'native/build/Release/holdfast.node'), join(root, 'dist/holdfast.node'));
await onceFor('node-pty', ['package-lock.json'], ['node_modules/node-pty/build/Release/pty.node'], buildPty);
await onceFor(
  'bundles',
  [
    ...['proto/gen', 'common', 'native', 'shim', 'daemon', 'client', 'cli'].flatMap((folder) =>
      filesBelow(folder, ['.ts']),
    ),
    'tools/build.mjs',
    'package.json',
    'package-lock.json',
  ],
  [...Object.values(BUNDLES), 'bin/holdfastd', 'bin/holdfast', 'bin/containerd-shim-holdfast-v1'],
  async () => {
    await bundle();
    launchers();
    await warmCaches();
  },
);

/** By rename: a running shim has the old file mapped. */
function copyIfChanged(from, to) {
  if (existsSync(to) && readFileSync(from).equals(readFileSync(to))) return;
  copyFileSync(from, `${to}.new`);
  renameSync(`${to}.new`, to);
}
