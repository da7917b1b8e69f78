import { type Node, nodeText } from './nodes.ts';

export interface Root {
  readonly node: Node;
  readonly flat: boolean;
}

/** What is kept because of something else, by whom. Answers are those of the moment when it is asked. */
export interface Graph {
  /**
   * Nodes that are kept for their own sake; `flat`: but nothing on account of them but a snapshot's parents. undefined:
   * one that was looked at and is none, so that a search for few among many has steps too.
   */
  roots(): Iterable<Root | undefined>;
  /** What `node` keeps; of a node that is not there, nothing. */
  references(node: Node): Iterable<Node>;
  /** What a flat one keeps. */
  flatReferences(node: Node): Iterable<Node>;
}

/**
 * Finds everything that is to be kept, by the three colours: white is what nobody has come to, grey what is waiting to
 * be asked for its references, black what has been asked. Yields after each node, so that the caller may let others on.
 * Between two steps whatever a writer touches is to be made grey: `touch`. It ends when nothing is grey.
 */
export class Marking {
  readonly #graph: Graph;
  /** Grey and black; true: it was asked as a flat one only. */
  readonly #seen = new Map<string, boolean>();
  readonly #grey: Root[] = [];

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /** What has been come to so far; when `steps` has ended, all that is kept. */
  has(node: Node): boolean {
    return this.#seen.has(nodeText(node));
  }

  get size(): number {
    return this.#seen.size;
  }

  /** Somebody has made or changed this since the marking began: it is kept, and asked again. */
  touch(node: Node): void {
    this.#seen.set(nodeText(node), false);
    this.#grey.push({ node, flat: false });
  }

  *steps(): Generator<void, void, void> {
    for (const root of this.#graph.roots()) {
      if (root !== undefined) this.#reach(root.node, root.flat);
      yield;
    }
    yield* this.rest();
  }

  /** Asks what is grey, until nothing is. */
  *rest(): Generator<void, void, void> {
    for (let next = this.#grey.pop(); next !== undefined; next = this.#grey.pop()) {
      const { node, flat } = next;
      const kept = flat ? this.#graph.flatReferences(node) : this.#graph.references(node);
      for (const one of kept) this.#reach(one, flat);
      yield;
    }
  }

  /** A second time only if the first was flat and this is not. */
  #reach(node: Node, flat: boolean): void {
    const text = nodeText(node);
    const before = this.#seen.get(text);
    if (before === false || (before === true && flat)) return;
    this.#seen.set(text, flat);
    this.#grey.push({ node, flat });
  }
}
