// Runs a TypeScript program on the project's own Node: `node tools/run.mjs PROGRAM.ts [ARG …]`.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { node, root } from './paths.mjs';

const [program, ...rest] = process.argv.slice(2);
const { status, signal } = spawnSync(node, [join(root, program), ...rest], { stdio: 'inherit' });
process.exit(status ?? 128 + (signal === 'SIGINT' ? 2 : 15));
