// `node tools/sanitize.mjs`: builds the addon with AddressSanitizer and UndefinedBehaviorSanitizer into
// native/build-asan and runs the addon's unit tests on it. Fails when a test fails or a sanitizer reported anything, in
// whichever process of theirs.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildOnce } from './native.mjs';
import { node, root } from './paths.mjs';

/** node-gyp builds in the folder of a binding.gyp, so this one has the same binding.gyp and sources by other names. */
const buildDirectory = join(root, 'native/build-asan');

const build = () => {
  mkdirSync(buildDirectory, { recursive: true });
  for (const name of ['binding.gyp', 'src']) {
    if (!existsSync(join(buildDirectory, name))) symlinkSync(join('..', name), join(buildDirectory, name));
  }
  const define = { sanitize: 1, headers: join(root, 'node_modules/node-addon-api') };
  return buildOnce({ directory: buildDirectory, force: false, quiet: true, define });
};

/** Node itself is built without AddressSanitizer, so its library must be there before Node. */
const library = () => execFileSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim();

/**
 * The sanitizer's own allocator does not survive a fork while another thread is in it (gcc 12), as glibc's does: a
 * forked process waits for ever for a lock that nobody holds, one time in six.
 */
const UNFIT = new Set(['native-sanitizer.test.ts', 'native-fork.test.ts']);

const tests = () =>
  readdirSync(join(root, 'test/unit'))
    .filter((name) => /^native-.*\.test\.ts$/.test(name) && !UNFIT.has(name))
    .map((name) => join('test/unit', name));

/** A leak is ours if our code is on the stack above Node's; Node leaves much behind when it ends. */
const isOurs = (leak) => / \.\.\/src\/\w+\.(cc|h):/.test(leak.split(/^.*\/bin\/node\+0x/m)[0]);

/** What the sanitizers wrote down, without the leaks of others. */
const reportsIn = (directory) =>
  readdirSync(directory).flatMap((name) => {
    const text = readFileSync(join(directory, name), 'utf8');
    if (!text.includes('LeakSanitizer')) return [text];
    return text.split('\n\n').filter((part) => /^(Direct|Indirect) leak/.test(part) && isOurs(part));
  });

const addon = build();
const logs = mkdtempSync(join(tmpdir(), 'holdfast-sanitizer-'));
try {
  const log = join(logs, 'report');
  const { NODE_TEST_CONTEXT: _, ...env } = process.env; // the tests that run this are node's own, and so are these
  const { status, signal } = spawnSync(node, ['--test', '--test-concurrency=2', '--test-timeout=300000', ...tests()], {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...env,
      HOLDFAST_NATIVE: addon,
      LD_PRELOAD: library(),
      ASAN_OPTIONS: `log_path=${log}:detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1`,
      // A leak is judged by its report: the exit code would tell of Node's too.
      LSAN_OPTIONS: 'exitcode=0',
      UBSAN_OPTIONS: `log_path=${log}-undefined:halt_on_error=1:print_stacktrace=1`,
    },
  });
  const reports = reportsIn(logs);
  for (const report of reports) console.error(report);
  console.log(
    `sanitizers: ${reports.length} reports; tests: ${status === 0 ? 'passed' : `ended with ${status ?? signal}`}`,
  );
  process.exitCode = status === 0 && reports.length === 0 ? 0 : 1;
} finally {
  rmSync(logs, { recursive: true });
}
