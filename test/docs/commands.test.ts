import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, test } from 'node:test';
import { type Daemon, startHoldfast } from '../harness/daemon.ts';
import { exec } from '../harness/exec.ts';
import { repository } from '../harness/repository.ts';
import { testBed } from '../harness/temp.ts';
import { codeSpans, shellBlocks } from './blocks.ts';

// Every command in the documents, on a daemon of this file's own in the place of the one at the default paths.

const bed = testBed();
let daemon: Daemon;
before(async () => {
  daemon = await startHoldfast(bed);
});

/** Started by the README itself, for people; here `startHoldfast` has. */
const OWN_DAEMON = 'bin/holdfastd &';
/** Blocks that are tests of their own, or this very run. */
const ELSEWHERE = new Set(['npm run quickstart', 'npm test']);

for (const document of ['README.md', 'docs/operating.md', 'docs/cli.md', 'CONTRIBUTING.md']) {
  test(`the commands of ${document} do what it says`, async () => {
    const lines = shellBlocks(document)
      .join('\n')
      .split('\n')
      .filter((line) => line !== '' && line !== OWN_DAEMON && !ELSEWHERE.has(line))
      .map((line) => line.replaceAll('/run/holdfast/holdfast.sock', daemon.address));
    if (document !== 'CONTRIBUTING.md') assert.ok(lines.length > 0, 'there are commands');
    const env = {
      TMPDIR: bed.folder('tmp'),
      HOLDFAST_ADDRESS: daemon.address,
      HOLDFAST_NAMESPACE: daemon.namespace,
      CONTAINERD_NAMESPACE: daemon.namespace,
    };
    const script = ['set -eu', ...lines].join('\n');
    const { status, stdout, stderr } = await exec('sh', ['-c', script], { cwd: repository, env, timeoutMs: 60_000 });
    assert.equal(status, 0, `${stdout}\n${stderr}`);
    if (document === 'README.md') {
      assert.match(stdout, /^hello\nexit code 3\n/);
      assert.match(stdout, /^up$/m);
      assert.match(stdout, /^hello from ctr$/m);
    }
  });
}

test('every npm script that a document names exists', () => {
  const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const document of ['README.md', 'CONTRIBUTING.md', 'docs/operating.md']) {
    for (const command of [...codeSpans(document), ...shellBlocks(document).flatMap((block) => block.split('\n'))]) {
      const name = /^npm run ([a-z:]+)/.exec(command)?.[1];
      if (name !== undefined) assert.ok(Object.hasOwn(scripts, name), `${document}: ${command}`);
    }
  }
});

test('every file that a document links to or names exists', () => {
  const documents = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'common/ttrpc/PROTOCOL.md'];
  for (const document of [...documents, ...readdirSync(join(repository, 'docs')).map((name) => `docs/${name}`)]) {
    const text = readFileSync(join(repository, document), 'utf8');
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, link = '']) =>
      join(dirname(document), link),
    );
    const named = codeSpans(document).filter((span) =>
      /^(daemon|shim|common|native|client|cli|test|tools)\/[\w./-]+$/.test(span),
    );
    for (const path of [...links, ...named]) assert.ok(existsSync(join(repository, path)), `${document}: ${path}`);
  }
});

test('the configuration keys of the operator’s document are those that the daemon reads', () => {
  const rows = readFileSync(join(repository, 'docs/operating.md'), 'utf8').split('\n');
  const documented = rows
    .filter((row) => /^\| .* \| .* \| .* \| .* \|$/.test(row))
    .flatMap((row) => row.split('|').slice(1, 3))
    .flatMap((cell) => [...cell.matchAll(/`([a-z_]+(?:\.[^`]+)?)`/g)].map(([, key = '']) => key.replaceAll('"', '')));
  const source = readFileSync(join(repository, 'daemon/config-keys.ts'), 'utf8').split('const KEYS')[1] ?? '';
  const read = [...source.matchAll(/^ {2}\[\s*'([^']+)',/gm)].map(([, key = '']) => key);
  const accepted = new Set(['version', 'disabled_plugins', 'required_plugins']);
  const expected = read
    .filter((key) => !accepted.has(key))
    .map((key) => ({ runtimes: 'runtimes.NAME.path', proxy_plugins: 'proxy_plugins.NAME' })[key] ?? key);
  assert.deepEqual(new Set(documented), new Set(expected));
});
