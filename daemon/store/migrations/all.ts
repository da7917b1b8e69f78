import { sql as core } from './001-core.ts';
import { sql as tasks } from './002-tasks.ts';
import { sql as content } from './003-content.ts';
import { sql as snapshots } from './004-snapshots.ts';
import { sql as images } from './005-images.ts';

/** In the order in which they run. Never change one that was released: add the next. */
export const migrations: readonly { readonly name: string; readonly sql: string }[] = [
  { name: '001-core', sql: core },
  { name: '002-tasks', sql: tasks },
  { name: '003-content', sql: content },
  { name: '004-snapshots', sql: snapshots },
  { name: '005-images', sql: images },
];
