import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Graph, Marking } from '../../daemon/gc/mark.ts';
import {
  backReferences,
  isExpired,
  isFlat,
  isRoot,
  type Node,
  nodeOf,
  nodeText,
  references,
} from '../../daemon/gc/nodes.ts';

const content = (key: string): Node => ({ kind: 'content', namespace: 'n', key });

test('labels say what is kept, by whom and how long', () => {
  const labels = new Map([
    ['containerd.io/gc.ref.content', 'sha256:a'],
    ['containerd.io/gc.ref.content.0', 'sha256:b'],
    ['containerd.io/gc.ref.content/l.1', 'sha256:c'],
    ['containerd.io/gc.ref.contents', 'no'],
    ['containerd.io/gc.ref.snapshot.overlayfs', 'one'],
    ['containerd.io/gc.ref.snapshot.overlayfs/two', 'two'],
    ['containerd.io/gc.ref.image.base', 'docker.io/library/x:latest'],
    ['containerd.io/gc.bref.content.manifest', 'sha256:d'],
    ['__proto__', 'data'],
  ]);
  assert.deepEqual(
    references('n', labels).map(({ kind, key }) => `${kind} ${key}`),
    [
      'content sha256:a',
      'content sha256:b',
      'content sha256:c',
      'snapshot overlayfs/one',
      'snapshot overlayfs/two',
      'image docker.io/library/x:latest',
    ],
  );
  assert.deepEqual(backReferences('n', labels), [content('sha256:d')]);
  assert.equal(isRoot(labels), false);
  assert.equal(isRoot(new Map([['containerd.io/gc.root', '']])), true);
  assert.equal(isFlat(new Map([['containerd.io/gc.flat', 'true']])), true);
  const now = Date.parse('2026-01-01T00:00:00Z');
  const expire = (value: string) => isExpired(new Map([['containerd.io/gc.expire', value]]), now);
  assert.deepEqual(
    [
      expire('2025-12-31T23:59:59.5Z'),
      expire('2026-01-01T01:00:00+02:00'),
      expire('2026-01-01T00:00:01Z'),
      expire('soon'),
    ],
    [true, true, false, false],
  );
});

test('a node keeps its name there and back, whatever its key', () => {
  fc.assert(
    fc.property(fc.string(), (key) => {
      assert.deepEqual(nodeOf(nodeText(content(key))), content(key));
    }),
  );
});

/** A graph of numbers: edges by number, roots with whether they are flat. */
interface Plan {
  readonly edges: readonly (readonly number[])[];
  readonly roots: readonly { readonly at: number; readonly flat: boolean }[];
}

const SIZE = 12;
const plans: fc.Arbitrary<Plan> = fc.record({
  edges: fc.array(fc.array(fc.nat(SIZE - 1), { maxLength: 4 }), { minLength: SIZE, maxLength: SIZE }),
  roots: fc.array(fc.record({ at: fc.nat(SIZE - 1), flat: fc.boolean() }), { maxLength: 4 }),
});

const graphOf = ({ edges, roots }: Plan): Graph => ({
  roots: () => roots.map(({ at, flat }) => ({ node: content(String(at)), flat })),
  references: ({ key }) => (edges[Number(key)] ?? []).map((at) => content(String(at))),
  flatReferences: () => [],
});

/** The same by the book: everything that a walk from the roots comes to. */
const reachable = ({ edges, roots }: Plan): Set<number> => {
  const kept = new Set<number>(roots.map(({ at }) => at));
  const walk = (at: number): void => {
    for (const next of edges[at] ?? []) {
      if (asked.has(next)) continue;
      asked.add(next);
      kept.add(next);
      walk(next);
    }
  };
  const asked = new Set<number>();
  for (const { at, flat } of roots) {
    if (flat || asked.has(at)) continue;
    asked.add(at);
    walk(at);
  }
  return kept;
};

const all = Array.from({ length: SIZE }, (_, at) => at);

test('kept is what a walk from the roots comes to, and nothing else', () => {
  fc.assert(
    fc.property(plans, (plan) => {
      const marking = new Marking(graphOf(plan));
      for (const _ of marking.steps());
      const kept = reachable(plan);
      for (const at of all) assert.equal(marking.has(content(String(at))), kept.has(at), `${at}`);
    }),
    { numRuns: 2_000 },
  );
});

test('what writers do in between is never lost: a reference that is new is followed from what was touched', () => {
  const steps = fc.array(fc.record({ after: fc.nat(20), from: fc.nat(SIZE - 1), to: fc.nat(SIZE - 1) }), {
    maxLength: 6,
  });
  fc.assert(
    fc.property(plans, steps, (plan, writes) => {
      const edges = plan.edges.map((row) => [...row]);
      const live = { ...plan, edges };
      const marking = new Marking(graphOf(live));
      let count = 0;
      const apply = (): void => {
        for (const { after, from, to } of writes) {
          if (after !== count) continue;
          edges[from]?.push(to);
          marking.touch(content(String(from)));
        }
        count += 1;
      };
      apply();
      for (const _ of marking.steps()) apply();
      const roots = [
        ...plan.roots,
        ...writes.filter(({ after }) => after < count).map(({ from }) => ({ at: from, flat: false })),
      ];
      for (const at of reachable({ edges, roots })) assert.ok(marking.has(content(String(at))), `${at} is kept`);
    }),
    { numRuns: 2_000 },
  );
});
