import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';

const repository = join(import.meta.dirname, '../..');
const fixtures = join(repository, 'test/wire');
const originals = process.env.HOLDFAST_WIRE_FACTS ?? join(repository, '../shared/facts/wire');

/** The areas that are built; each has a table of its name. */
const AREAS = [
  'version',
  'introspection',
  'namespaces',
  'containers',
  'tasks',
  'events',
  'leases',
  'health',
  'types',
  'event-payloads',
  'runc-options',
  'cgroups-metrics',
  'shim-task-v2',
  'shim-task-v3',
  'ttrpc',
  'bootstrap',
  'content',
  'images',
  'snapshots',
  'diff',
  'transfer',
  'streaming',
];

const folder = mkdtempSync(join(tmpdir(), 'holdfast-wire-'));
const descriptors = join(folder, 'all.binpb');
after(() => rmSync(folder, { recursive: true }));

before(() => {
  const buf = join(repository, 'node_modules/@bufbuild/buf/bin/buf');
  const { status, stderr } = spawnSync(process.execPath, [buf, 'build', '-o', descriptors], {
    cwd: repository,
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(status, 0, stderr);
});

const check = (tables: string, areas: readonly string[], ...flags: readonly string[]) => {
  const args = [tables, descriptors, '--areas', areas.join(','), '--target', 'all', ...flags];
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(fixtures, 'check-wire.mjs'), ...args], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, text: stdout + stderr };
};

test('every name, number and type of our .proto files is as on the wire of containerd 1.6 to 2.3', () => {
  const { status, text } = check(join(fixtures, 'tables'), AREAS);
  assert.equal(status, 0, text);
});

test('our .proto files hold nothing that the wire does not have', () => {
  const { status, text } = check(join(fixtures, 'tables'), AREAS, '--strict');
  assert.equal(status, 0, text);
});

test('a field with another number is found', () => {
  const tables = join(folder, 'tables');
  cpSync(join(fixtures, 'tables'), tables, { recursive: true });
  const file = join(tables, 'version.json');
  writeFileSync(file, readFileSync(file, 'utf8').replace('"2":', '"9":'));
  const { status, text } = check(tables, ['version']);
  assert.equal(status, 1, text);
  assert.match(text, /missing field .* 9:/);
});

test('there is a table for each area, and no table is unused', () => {
  const tables = readdirSync(join(fixtures, 'tables')).map((file) => basename(file, '.json'));
  assert.deepEqual(tables.sort(), AREAS.toSorted());
});

test('the tables are those of the project, where the originals are at hand', (t) => {
  if (!existsSync(originals)) return t.diagnostic(`no originals at ${originals}: the copies stand for them`);
  for (const file of ['check-wire.mjs', ...AREAS.map((area) => `tables/${area}.json`)]) {
    assert.equal(readFileSync(join(fixtures, file), 'utf8'), readFileSync(join(originals, file), 'utf8'), file);
  }
});
