// `npm run gen`: generates proto/gen from proto/**/*.proto. The output is committed, so that a change of it can be read;
// with --check nothing is written, and a difference is a failure.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { node, root } from './paths.mjs';

const committed = join(root, 'proto/gen');
const fresh = mkdtempSync(join(tmpdir(), 'holdfast-gen-'));
try {
  execFileSync(node, ['node_modules/@bufbuild/buf/bin/buf', 'generate', '--output', fresh], {
    cwd: root,
    stdio: 'inherit',
    // The generator's plugin is started as `node`: ours, not the machine's.
    env: { ...process.env, PATH: `${join(node, '..')}:${process.env.PATH}` },
  });
  const made = join(fresh, 'proto/gen');
  const files = (folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const names = (folder) =>
    files(folder)
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
      .sort();
  if (process.argv.includes('--check')) {
    const want = names(made);
    const have = names(committed);
    const differs = want.filter(
      (name) =>
        !have.includes(name) || readFileSync(join(made, name), 'utf8') !== readFileSync(join(committed, name), 'utf8'),
    );
    const extra = have.filter((name) => !want.includes(name));
    for (const name of [...differs, ...extra])
      console.error(`proto/gen/${name} is not what the .proto files give; run: npm run gen`);
    if (differs.length + extra.length > 0) process.exitCode = 1;
  } else {
    rmSync(committed, { recursive: true, force: true });
    cpSync(made, committed, { recursive: true });
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
