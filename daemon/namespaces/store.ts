import { alreadyExists, failedPrecondition, notFound } from '../../common/errdefs.ts';
import { checkIdentifier } from '../../common/identifiers.ts';
import { checkLabel, checkLabels, type Labels } from '../../common/labels.ts';
import type { Database } from '../store/database.ts';

/** Says what of its kind a namespace still holds, in containerd's words: `containers`; [] when nothing. */
export type Occupants = (namespace: string) => readonly string[];

/** Methods that write are called inside a transaction. */
export interface NamespaceStore {
  names(): string[];
  /** Empty for a namespace that is not there: to containerd a namespace is little more than a prefix. */
  labels(name: string): Labels;
  /** Throws InvalidArgument and AlreadyExists. */
  create(name: string, labels: Labels): void;
  /** Makes sure that there is a row; creating anything in a namespace brings it into being. */
  ensure(name: string): void;
  /** An empty value takes the label away. Brings the namespace into being. */
  setLabel(name: string, key: string, value: string): void;
  /** Throws FailedPrecondition while it holds something, and NotFound. */
  remove(name: string): void;
}

export const namespaceStore = (db: Database, occupants: readonly Occupants[]): NamespaceStore => {
  const statements = prepare(db);
  const ensure = (name: string): boolean => statements.insert.run(name).changes > 0;
  const setLabel = (name: string, key: string, value: string): void => {
    checkLabel('namespace.Labels', key, value);
    ensure(name);
    if (value === '') statements.removeLabel.run(name, key);
    else statements.setLabel.run(name, key, value);
  };

  return {
    names: () => statements.names.all(),
    labels: (name) => new Map(statements.labels.all(name)),
    create: (name, labels) => {
      checkIdentifier(name);
      checkLabels('namespace.Labels', labels);
      if (!ensure(name)) throw alreadyExists('namespace', name);
      for (const [key, value] of labels) setLabel(name, key, value);
    },
    ensure: (name) => void ensure(name),
    setLabel,
    remove: (name) => {
      const left = occupants.flatMap((kind) => kind(name));
      const quoted = JSON.stringify(name);
      if (left.length > 0) {
        throw failedPrecondition(`namespace ${quoted} must be empty, but it still has ${left.join(', ')}`);
      }
      if (statements.remove.run(name).changes === 0) throw notFound('namespace', name);
    },
  };
};

const prepare = ({ sql }: Database) => ({
  names: sql.prepare<[], string>('SELECT name FROM namespaces ORDER BY name').pluck(),
  labels: sql.prepare<[string], [string, string]>('SELECT key, value FROM namespace_labels WHERE namespace = ?').raw(),
  insert: sql.prepare<[string]>('INSERT INTO namespaces VALUES (?) ON CONFLICT DO NOTHING'),
  setLabel: sql.prepare<[string, string, string]>('INSERT OR REPLACE INTO namespace_labels VALUES (?, ?, ?)'),
  removeLabel: sql.prepare<[string, string]>('DELETE FROM namespace_labels WHERE namespace = ? AND key = ?'),
  remove: sql.prepare<[string]>('DELETE FROM namespaces WHERE name = ?'),
});
