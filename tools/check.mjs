// `npm run check`: types, lint, format, and that the generated code is what the .proto files say.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { node, root } from './paths.mjs';

const bin = (path, ...args) => [node, [join(root, 'node_modules', path), ...args]];
const steps = {
  types: bin('typescript/bin/tsc', '-p', '.'),
  lint: bin('oxlint/bin/oxlint', '--type-aware', '--deny-warnings'),
  format: bin('oxfmt/bin/oxfmt', '--check', '.'),
  generated: [node, [join(root, 'tools/gen.mjs'), '--check']],
};

let failed = 0;
for (const [name, [program, args]] of Object.entries(steps)) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit' });
  if (error ?? status !== 0) failed += 1;
  console.log(`${name}: ${error?.message ?? (status === 0 ? 'ok' : `failed (${status})`)}`);
}
process.exit(failed === 0 ? 0 : 1);
