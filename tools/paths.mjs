// Where things are, for the tools; plain JavaScript, because set-up starts on whatever Node the machine has.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const architecture = { x64: 'x64', arm64: 'arm64' }[process.arch];
/** The folder of the Node that Holdfast runs on, from npm; has bin/node and the headers. */
export const nodeDir = join(root, 'node_modules', `node-linux-${architecture}`);
export const node = join(nodeDir, 'bin/node');

export const isInstalled = () => existsSync(node);
