import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { repository } from '../harness/repository.ts';

// Imported first by every file of this folder: from then on the harness finds the ctr, containerd, dockerd and docker
// that tools/next.mjs has fetched before those of the machine.

const folder = join(repository, '.cache/next/bin');
if (!existsSync(folder)) throw new Error(`${folder} is not there: run npm run test:next, which fetches it`);
process.env.PATH = [folder, process.env.PATH].join(delimiter);
