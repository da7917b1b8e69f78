import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { repository } from '../harness/repository.ts';
import { Cli } from '../integration/cli-harness.ts';

// What docs/cli.md says of JSON documents is what the verbs print.

const cli = await Cli.start();

beforeEach(async () => {
  await cli.ok(...cli.inRootfs('-d', '--name', 'up', '--label', 'a=b', '--pids-limit', '9', 'sleep', '100'));
  await cli.run(cli.inRootfs('--name', 'over', 'sh', '-c', 'exit 7'));
});

interface Keys {
  readonly required: ReadonlySet<string>;
  readonly all: ReadonlySet<string>;
}

/** The keys that a section's table has in its first column; `?` behind one means that it may be left out. */
const documented = (verb: string): Keys => {
  const text = readFileSync(join(repository, 'docs/cli.md'), 'utf8');
  const section = text.split(/^### /m).find((one) => one.startsWith(`\`${verb}\`\n`)) ?? '';
  const cells = section.split('\n').filter((line) => line.startsWith('| `'));
  const keys = cells.flatMap((line) =>
    [...(line.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, key = '']) => key),
  );
  return {
    required: new Set(keys.filter((key) => !key.endsWith('?'))),
    all: new Set(keys.map((key) => key.replace(/\?$/, ''))),
  };
};

/** The keys of a document, with dots between those of nested objects and `[]` behind those of arrays of objects. */
const keysOf = (value: unknown, path = ''): string[] => {
  if (Array.isArray(value)) return value.flatMap((item) => keysOf(item, `${path}[]`));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const here = path === '' ? key : `${path}.${key}`;
    return [here, ...keysOf(inner, here)];
  });
};

/** `document` has what is required, and nothing that is not documented, apart from what is inside of that. */
const check = (document: unknown, { required, all }: Keys): void => {
  assert.ok(required.size > 0, 'the section has a table');
  const keys = new Set(keysOf(document));
  const isInside = (key: string): boolean =>
    [...all].some((known) => key.startsWith(`${known}.`) || key.startsWith(`${known}[`));
  const isAbove = (key: string): boolean =>
    [...all].some((known) => known.startsWith(`${key}.`) || known.startsWith(`${key}[`));
  assert.deepEqual(
    [...required].filter((key) => !keys.has(key)),
    [],
    'promised, and not there',
  );
  assert.deepEqual(
    [...keys].filter((key) => !all.has(key) && !isInside(key) && !isAbove(key)),
    [],
    'not documented',
  );
};

const arrays = [
  ['ps --json', ['ps', '--all', '--json']],
  ['wait --json', ['wait', '--json', 'over']],
  ['top --json', ['top', '--json', 'up']],
  ['stats --json', ['stats', '--no-stream', '--json']],
  ['shim ls --json', ['shim', 'ls', '--json']],
  ['inspect', ['inspect', 'up', 'over']],
] as const;

for (const [verb, args] of arrays) {
  test(`${verb} prints what its table says`, async () => {
    const items: unknown[] = JSON.parse(await cli.ok(...args));
    assert.ok(items.length > 0);
    for (const item of items) check(item, documented(verb));
  });
}

test('info --json prints what its table says', async () =>
  check(JSON.parse(await cli.ok('info', '--json')), documented('info --json')));

test('events --json prints what its table says', async () => {
  const lines = (await cli.ok('events', '--json')).trim().split('\n');
  for (const line of lines) check(JSON.parse(line), documented('events --json'));
});

test('every verb is in the document’s table', async () => {
  const text = readFileSync(join(repository, 'docs/cli.md'), 'utf8');
  const verbs = [...(await cli.ok('--help')).matchAll(/^ {2}([a-z]+) .* {2}/gm)].map(([, verb = '']) => verb);
  assert.ok(verbs.includes('run'));
  const missing = verbs.filter(
    (verb) => verb !== 'help' && !new RegExp(`^\\| .*\`${verb}( ls)?\`.* \\|`, 'm').test(text),
  );
  assert.deepEqual(missing, []);
});
