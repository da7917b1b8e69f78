import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FIELDS_MAX } from '../../common/bounded-decode.ts';
import { UNREAD_BYTES_MAX, UNREAD_BYTES_PAUSE } from '../../common/ttrpc/connection.ts';
import { FRAME_BYTES_MAX } from '../../common/ttrpc/frame.ts';
import { METADATA_LENGTH_MAX, METADATA_PAIRS_MAX } from '../../common/ttrpc/metadata.ts';
import { CLOSE_MS_MAX } from '../../common/ttrpc/server.ts';
import { CALLS_MAX } from '../../common/ttrpc/server-connection.ts';
import { STATUS_MESSAGE_LENGTH_MAX } from '../../common/ttrpc/status.ts';
import { STREAM_UNREAD_BYTES_MAX } from '../../common/ttrpc/stream.ts';

const root = join(import.meta.dirname, '../..');
const document = readFileSync(join(root, 'common/ttrpc/PROTOCOL.md'), 'utf8');

const sources = ['unit', 'contract', 'integration']
  .flatMap((folder) => readdirSync(join(root, 'test', folder)).map((name) => join(root, 'test', folder, name)))
  .filter((path) => path.includes('ttrpc'))
  .map((path) => readFileSync(path, 'utf8'))
  .join('\n')
  // Names that are made for each of several cases are looked for without what differs.
  .replaceAll('${CALLS}', '100000');

test('PROTOCOL.md names only tests that exist', () => {
  const prose = document.replace(/`[^`]*`/g, '');
  const names = [...prose.matchAll(/_([^_]+)_/g)].map(([, name = '']) => name.replace(/\s+/g, ' '));
  assert.ok(names.length > 40, `${names.length} names`);
  const eachCase = /^.*(?= fails the client's call)/;
  const missing = names.filter((name) => !sources.includes(name.replace(eachCase, '${what}')));
  assert.deepEqual(missing, []);
});

test('PROTOCOL.md gives the limits as they are', () => {
  const limits = {
    FRAME_BYTES_MAX,
    CALLS_MAX,
    FIELDS_MAX,
    METADATA_PAIRS_MAX,
    METADATA_LENGTH_MAX,
    STATUS_MESSAGE_LENGTH_MAX,
    STREAM_UNREAD_BYTES_MAX,
    UNREAD_BYTES_PAUSE,
    UNREAD_BYTES_MAX,
    CLOSE_MS_MAX,
  };
  for (const [name, value] of Object.entries(limits)) {
    assert.match(document, new RegExp(`\\| \`${name}\` +\\| ${value} +\\|`));
  }
});
