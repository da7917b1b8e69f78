import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ContentPart } from '../../daemon/content-part.ts';
import { makeContent } from '../../daemon/content-part.ts';
import type { Sharing } from '../../daemon/content/parts.ts';
import type { Core } from '../../daemon/core.ts';
import { leaseStore } from '../../daemon/leases/store.ts';
import { namespaceStore } from '../../daemon/namespaces/store.ts';
import { silent, type TestStore, testStore } from './daemon-harness.ts';

export interface TestContent extends AsyncDisposable {
  readonly content: ContentPart;
  readonly store: TestStore;
  /** Where blobs and ingests lie. */
  readonly folder: string;
  /** Takes a namespace's row of a blob away, as a collection does. */
  forget(namespace: string, digest: string): void;
  /** A part anew on the same metadata and files, as after a restart. */
  again(): ContentPart;
}

/** The content part on a database and a root of its own. */
export const testContent = async (sharing: Sharing = 'shared'): Promise<TestContent> => {
  const store = await testStore();
  const root = mkdtempSync(join(tmpdir(), 'holdfast-content-'));
  const { db, events } = store;
  const make = (): ContentPart =>
    makeContent({
      config: { root, content: { sharing } },
      log: silent,
      db,
      events,
      namespaces: namespaceStore(db, []),
      leases: leaseStore(db),
    } as unknown as Core); // what the part takes of it
  const content = make();
  const forget = db.sql.prepare<[string, string]>('DELETE FROM content WHERE namespace = ? AND digest = ?');
  return {
    content,
    store,
    folder: join(root, 'io.containerd.content.v1.content'),
    forget: (namespace, digest) => void forget.run(namespace, digest),
    again: make,
    [Symbol.asyncDispose]: async () => {
      await content.close();
      await store[Symbol.asyncDispose]();
      rmSync(root, { recursive: true });
    },
  };
};

/** Writes a blob under a reference of its own; gives its digest. */
export const put = async (content: ContentPart, namespace: string, data: string): Promise<string> => {
  const ingest = await content.ingest(namespace, `put-${data}`);
  await ingest.write(Buffer.from(data));
  return ingest.commit();
};
