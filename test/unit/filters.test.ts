import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { codes } from '../../common/errdefs.ts';
import { type Fields, FILTERS_LENGTH_MAX, mapField, parseFilters, present } from '../../common/filters.ts';
import { compileRegExp } from '../../common/linear-regexp.ts';

const labels = new Map([
  ['a.b/c', 'x'],
  ['empty', ''],
  ['__proto__', 'data'],
  ['very complex label', 'something'],
]);

/** A container called web, of image docker.io/library/busybox:latest. */
const web: Fields = ([first, ...rest]) => {
  if (first === 'name') return 'web';
  if (first === 'image') return 'docker.io/library/busybox:latest';
  if (first === 'topic') return '/tasks/exit';
  if (first === 'none') return present('');
  return first === 'labels' ? mapField(labels, rest) : undefined;
};

const matches = (...filters: string[]): boolean => parseFilters(filters)(web);

test('no filter, and an empty one, match everything', () => {
  assert.equal(matches(), true);
  assert.equal(matches(''), true);
});

for (const [filter, expected] of [
  ['name', true],
  ['other', false],
  ['none', false],
  ['name==web', true],
  ['name==we', false],
  ['name == web', true],
  ['name!=web', false],
  ['other!=web', true],
  ['other==""', false],
  ['labels.empty==""', true],
  ['name~=^w', true],
  ['name~=^e', false],
  ['name~=e', true],
  ['topic~=|^/tasks/|', true],
  ['topic~=/^.tasks/', true],
  ['topic==/tasks/exit', undefined],
  ['topic=="/tasks/exit"', true],
  ['image==docker.io/library/busybox:latest', true],
  ['labels."a.b/c"', true],
  ['labels."a.b/c"==x', true],
  ['labels.a.b', false],
  ['labels.__proto__==data', true],
  ['labels.constructor', false],
  ['labels."very complex label"==something', true],
  ['name==web,labels.empty', true],
  ['name==web, labels.nothing', false],
  ['name=="w\\x65b"', true],
  ['name=="\\167eb"', true],
  ['name=="\\u0077eb"', true],
  ['name~=[', false],
] as const) {
  if (expected === undefined) {
    test(`filter ${filter} is refused`, () => assert.throws(() => matches(filter), { code: 3 }));
  } else {
    test(`filter ${filter} ${expected ? 'matches' : 'does not match'}`, () => assert.equal(matches(filter), expected));
  }
}

test('filters that are too long together are refused before they are read', () => {
  const ids = Array.from({ length: 3_000 }, (_, index) => `id==${String(index).padStart(64, '0')}`);
  assert.equal(matches(...ids), false);
  for (const filters of [['id!=a,'.repeat(1_000_000)], Array.from({ length: FILTERS_LENGTH_MAX + 1 }, () => '')]) {
    assert.throws(() => parseFilters(filters), { code: codes.resourceExhausted });
  }
});

test('of several filters one is enough', () => {
  assert.equal(matches('name==other', 'labels.empty'), true);
  assert.equal(matches('name==other', 'labels.nothing'), false);
});

for (const [filter, message] of [
  ['name=web', 'filters: parse error: [name >|=|< web]: unsupported operator "=": invalid argument'],
  ['name===web', 'filters: parse error: [name >|=|< ==web]: unsupported operator "===": invalid argument'],
  ['name==', 'filters: parse error: [name==]: expected value or quoted: invalid argument'],
  [',', 'filters: parse error: [ >|,|< ]: expected field or quoted: invalid argument'],
  ['name==web,', 'filters: parse error: [name==web,]: expected field or quoted: invalid argument'],
  ['name foo', 'filters: parse error: [name  >|f|< oo]: expected an operator ("=="|"!="|"~="): invalid argument'],
  ['name==web x', 'filters: parse error: [name==web >| |< x]: unexpected input:  : invalid argument'],
  ['name==|web|', 'filters: parse error: [name== >|||< web|]: invalid quote encountered: invalid argument'],
  ['name=="web', 'filters: parse error: [name== >|"|< web]: quoted literal not terminated: invalid argument'],
  ['name=="\\q"', 'filters: parse error: [name== >|"|< \\q"]: illegal escape sequence: invalid argument'],
] as const) {
  test(`the error of ${filter} shows the place`, () => assert.throws(() => matches(filter), { code: 3, message }));
}

test('whatever a client sends as a filter is matched or refused with InvalidArgument', () => {
  const piece = fc.constantFrom(
    'name',
    '==',
    '!=',
    '~=',
    '"',
    '|',
    '/',
    ',',
    '.',
    '\\',
    'x',
    '(',
    '*',
    '[',
    ' ',
    '\n',
    '\0',
    'é',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece).map((pieces) => pieces.join('')),
      ),
      (filter) => {
        try {
          matches(filter);
        } catch (error) {
          assert.equal((error as { code?: number }).code, 3);
        }
      },
    ),
  );
});

test('an expression that would backtrack for ever is answered at once', () => {
  const began = performance.now();
  assert.equal(compileRegExp('^(a+)+(a|aa)*$').test(`${'a'.repeat(4000)}b`), false);
  assert.ok(performance.now() - began < 500);
});

test('an expression that is too large is refused, not ignored', () => {
  assert.throws(() => parseFilters(['name~=(x{900}){900}']), { code: 3 });
});

for (const [source, text, expected] of [
  ['(?i)HELLO', 'say hello', true],
  ['(?i:H)ELLO', 'hELLO', true],
  ['\\Qa.b\\E$', 'xa.b', true],
  ['\\Qa.b\\E$', 'xaxb', false],
  ['^[[:alpha:]_]+\\d{2,}$', 'ab_12', true],
  ['[^[:digit:]]', '123', false],
  ['\\bfoo\\b', 'a foo b', true],
  ['\\bfoo\\b', 'afoo', false],
  ['(?P<name>a){3}', 'aaa', true],
  ['(?m)^b$', 'a\nb\nc', true],
  ['^b$', 'a\nb\nc', false],
  ['a.c', 'a\nc', false],
  ['(?s)a.c', 'a\nc', true],
  ['\\p{Greek}\\PL', 'α1', true],
  ['\\x41\\x{1F600}', 'A\u{1F600}', true],
  ['x{,2}', 'x{,2}', true],
] as const) {
  test(`Go's expression ${source} ${expected ? 'matches' : 'does not match'} ${JSON.stringify(text)}`, () => {
    assert.equal(compileRegExp(source).test(text), expected);
  });
}

for (const source of ['(?=x)', '(?<!x)y', '(a)\\1', 'a**', '*a', '(', ')', '[z-a]', '\\q', '(?z)a', '[a', 'a{1001}']) {
  test(`${source} is no expression of Go's`, () => assert.throws(() => compileRegExp(source), SyntaxError));
}

test('expressions mean what they mean to JavaScript where the two languages agree', () => {
  const { node } = fc.letrec<{ node: string }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom('a', 'b', 'c', '.', '[ab]', '[^a]', '\\d', '\\W', '^', '$', '\\b'),
      fc.tuple(tie('node'), tie('node')).map(([left, right]) => left + right),
      fc.tuple(tie('node'), tie('node')).map(([left, right]) => `(?:${left}|${right})`),
      fc
        .tuple(tie('node'), fc.constantFrom('*', '+', '?', '{2}', '{1,3}', '*?'))
        .map(([part, times]) => `(?:${part})${times}`),
    ),
  }));
  const text = fc.array(fc.constantFrom('a', 'b', 'c', '1', ' ')).map((characters) => characters.slice(0, 8).join(''));
  fc.assert(
    fc.property(node, text, (source, input) => {
      assert.equal(compileRegExp(source).test(input), new RegExp(source, 'u').test(input));
    }),
    { numRuns: 2000 },
  );
});
