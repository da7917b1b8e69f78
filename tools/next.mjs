// `npm run test:next` begins with this: fetches what the tests of test/next run against our daemon, the containerd and
// Docker Engine of Debian's unstable suite, into .cache/next. Nothing is installed, and the machine's own lists and
// caches of packages are not touched. What is there stays; `--refresh` fetches what the suite has now.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { root } from './paths.mjs';

const SUITE = 'unstable';
/** Debian package → the programs of it that are wanted, with what prints their version. */
const PACKAGES = {
  containerd: { programs: ['containerd', 'containerd-shim-runc-v2', 'ctr'], version: ['containerd', '--version'] },
  'docker.io': { programs: ['dockerd', 'docker-proxy'], version: ['dockerd', '--version'] },
  'docker-cli': { programs: ['docker'], version: ['docker', '--version'] },
};
/** Of a package manager's output, bytes. */
const OUTPUT_BYTES_MAX = 64 << 20;

const folder = join(root, '.cache/next');
const work = join(root, '.cache/next.new');
const sourceParts = '/etc/apt/sources.list.d';

const fail = (text) => {
  console.error(`next: ${text}`);
  process.exit(1);
};

const run = (program, args, cwd) => {
  const options = { cwd, encoding: 'utf8', maxBuffer: OUTPUT_BYTES_MAX, env: { ...process.env, LC_ALL: 'C' } };
  const { status, error, stdout, stderr } = spawnSync(program, args, options);
  if (error) fail(`${program}: ${error.message}`);
  if (status !== 0) fail(`${stdout}${stderr}${[program, ...args].join(' ')} ended with ${status}`);
  return stdout;
};

/** Where an archive of Debian's own lies on its host, or a list of such hosts. Others have suites of the same name. */
const ARCHIVE = String.raw`\S*/debian(\.list)?/?`;

/** The machine's own source of its release, with the suite changed: both forms that apt reads are understood. */
const nextSources = () => {
  const release = /^VERSION_CODENAME=(.*)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  const files = ['/etc/apt/sources.list', ...(existsSync(sourceParts) ? readdirSync(sourceParts).sort() : [])]
    .map((name) => (name.startsWith('/') ? name : join(sourceParts, name)))
    .filter((path) => existsSync(path) && /\.(list|sources)$/.test(path));
  for (const path of files) {
    const text = readFileSync(path, 'utf8');
    const found = path.endsWith('.sources') ? stanzaOf(text, release) : lineOf(text, release);
    if (found !== undefined) return found;
  }
  return fail(`no source in /etc/apt is Debian's own archive with the suite ${release}: this is for a Debian machine`);
};

const stanzaOf = (text, release) => {
  const wanted = [
    /^Types:.*\bdeb( |$)/m,
    new RegExp(`^URIs:\\s*${ARCHIVE}(\\s|$)`, 'm'),
    new RegExp(`^Suites:(.*\\s)?${release}(\\s|$)`, 'm'),
    /^Components:.*\bmain\b/m,
  ];
  const isWanted = (stanza) => wanted.every((field) => field.test(stanza)) && !/^Enabled:\s*no/im.test(stanza);
  const stanza = text.split(/\n\s*\n/).find(isWanted);
  if (stanza === undefined) return undefined;
  const changed = { Types: 'deb', Suites: SUITE, Components: 'main' };
  const lines = Object.entries(changed).reduce(
    (now, [field, value]) => now.replace(new RegExp(`^${field}:.*$`, 'm'), `${field}: ${value}`),
    stanza,
  );
  return { name: 'next.sources', text: `${lines.trim()}\n` };
};

const lineOf = (text, release) => {
  const line = new RegExp(`^deb\\s+(\\[[^\\]]*\\]\\s+)?(${ARCHIVE})\\s+${release}\\s.*\\bmain\\b`, 'm');
  const [, options = '', uri] = line.exec(text) ?? [];
  return uri === undefined ? undefined : { name: 'next.list', text: `deb ${options}${uri} ${SUITE} main\n` };
};

/** A configuration of apt's with everything that it writes below `work`; read after the machine's own. */
const configure = () => {
  const apt = join(work, 'apt');
  for (const name of ['lists/partial', 'cache/archives/partial', 'sources', 'packages'])
    mkdirSync(join(apt, name), { recursive: true });
  const { name, text } = nextSources();
  writeFileSync(join(apt, 'sources', name), text);
  writeFileSync(join(apt, 'status'), '');
  const file = join(apt, 'apt.conf');
  writeFileSync(
    file,
    `#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::State::lists "${apt}/lists";
Dir::State::status "${apt}/status";
Dir::Cache "${apt}/cache";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "${apt}/sources";
APT::Sandbox::User "root";
Acquire::Languages "none";
`,
  );
  return { file, packages: join(apt, 'packages') };
};

const fetchPackages = () => {
  const { file, packages } = configure();
  run('apt-get', ['-c', file, 'update', '-qq', '--error-on=any'], packages);
  run('apt-get', ['-c', file, 'download', '-qq', ...Object.keys(PACKAGES)], packages);
  for (const name of readdirSync(packages)) run('dpkg', ['-x', join(packages, name), join(work, 'root')], packages);
};

/** One folder with a link to each program, for the front of a PATH. */
const link = () => {
  mkdirSync(join(work, 'bin'));
  for (const [name, { programs }] of Object.entries(PACKAGES)) {
    for (const program of programs) {
      const place = ['usr/bin', 'usr/sbin'].find((it) => existsSync(join(work, 'root', it, program)));
      if (place === undefined) fail(`the package ${name} has no ${program}`);
      symlinkSync(join('..', 'root', place, program), join(work, 'bin', program));
    }
  }
};

/** Shows too that a program runs with the libraries of this machine; its error names the one that is too old. */
const versionOf = ([program, ...args]) => run(join(folder, 'bin', program), args, folder).trim();

if (process.argv.includes('--refresh') || !existsSync(join(folder, 'bin'))) {
  console.error(`next: fetching ${Object.keys(PACKAGES).join(', ')} of Debian ${SUITE}`);
  rmSync(work, { recursive: true, force: true });
  fetchPackages();
  link();
  rmSync(join(work, 'apt'), { recursive: true });
  rmSync(folder, { recursive: true, force: true });
  renameSync(work, folder);
}
for (const { version } of Object.values(PACKAGES)) console.error(`next: ${versionOf(version)}`);
