import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CodedError } from '../../common/errdefs.ts';
import type { Entry } from '../../daemon/diff/tar/entry.ts';
import { META_BYTES_MAX } from '../../daemon/diff/tar/format.ts';
import { parseNumber, parseSeconds } from '../../daemon/diff/tar/number.ts';
import { parsePax, parsePaxTime, paxRecord } from '../../daemon/diff/tar/pax.ts';
import { TarReader } from '../../daemon/diff/tar/reader.ts';
import { writeHeader } from '../../daemon/diff/tar/writer.ts';
import { memberOf, seal, tarOf } from '../harness/layers.ts';

/** What a reader makes of an archive that comes in pieces: its entries with their data. */
const read = (archive: Buffer, cuts: readonly number[] = []): { readonly entry: Entry; readonly data: string }[] => {
  const found: { entry: Entry; data: string }[] = [];
  let open = false;
  const reader = new TarReader({
    entry: (entry) => {
      assert.equal(open, false);
      open = true;
      found.push({ entry, data: '' });
    },
    data: (bytes) => {
      assert.ok(open);
      const last = found.at(-1);
      if (last !== undefined) last.data += bytes.toString('latin1');
    },
    end: () => {
      assert.ok(open);
      open = false;
    },
  });
  let from = 0;
  for (const cut of [...cuts, archive.length].sort((a, b) => a - b)) {
    reader.push(archive.subarray(from, cut));
    from = cut;
  }
  reader.finish();
  return found;
};

const names = (archive: Buffer): string[] => read(archive).map(({ entry }) => entry.name);

/** One of everything that the reader knows. */
const sample = (): Buffer => {
  const long = 'directory/'.repeat(30);
  const sparse = writeHeader({ ...blank, type: 'S', name: 'old-sparse', size: 1536 });
  sparse.write('ustar  \0', 257, 'latin1');
  sparse.fill(0, 345, 512);
  field(sparse, 386, 512);
  field(sparse, 398, 512);
  field(sparse, 410, 4096);
  field(sparse, 422, 512);
  sparse[482] = 1;
  field(sparse, 483, 10_000);
  const more = Buffer.alloc(512);
  field(more, 0, 8192);
  field(more, 12, 512);
  return Buffer.concat([
    memberOf({ name: 'file', data: 'some text' }),
    memberOf({ name: `${long}x`, data: 'x'.repeat(1000), mtime: 1_700_000_000_123_456_789n }),
    memberOf({ name: 'caf\xc3\xa9', xattrs: new Map([['user.x', Buffer.from([0, 10, 255])]]) }),
    memberOf({ name: 'link', type: '2', link: 't'.repeat(300) }),
    memberOf({ name: '././@LongLink', type: 'L', data: `${'g'.repeat(200)}\0` }),
    memberOf({ name: 'short', data: 'gnu' }),
    seal(sparse),
    more,
    Buffer.alloc(1536, 'd'),
    memberOf({
      name: 'PaxHeaders',
      type: 'x',
      data:
        paxRecord('GNU.sparse.major', '1') +
        paxRecord('GNU.sparse.minor', '0') +
        paxRecord('GNU.sparse.realsize', '5000') +
        paxRecord('GNU.sparse.name', 'new-sparse'),
    }),
    memberOf({
      name: 'GNUSparseFile.0/x',
      data: Buffer.concat([Buffer.from('1\n4000\n6\n'.padEnd(512, '\0')), Buffer.from('sparse')]),
    }),
    memberOf({ name: 'device', type: '3', major: 1, minor: 3 }),
    tarOf(),
  ]);
};

const blank = {
  type: '0',
  name: '',
  link: '',
  mode: 0o644,
  uid: 1,
  gid: 2,
  size: 0,
  mtime: 0n,
  major: 0,
  minor: 0,
  xattrs: new Map(),
};

const field = (block: Buffer, at: number, value: number): void => {
  block.write(`${value.toString(8).padStart(11, '0')}\0`, at, 'latin1');
};

test('names, data and extents of every format are read', () => {
  const found = read(sample());
  assert.deepEqual(
    found.map(({ entry, data }) => [entry.name.slice(0, 12), entry.size, data.slice(0, 9)]),
    [
      ['file', 9, 'some text'],
      ['directory/di', 1000, 'xxxxxxxxx'],
      ['caf\xc3\xa9', 0, ''],
      ['link', 0, ''],
      ['gggggggggggg', 3, 'gnu'],
      ['old-sparse', 10_000, 'ddddddddd'],
      ['new-sparse', 5000, 'sparse'],
      ['device', 0, ''],
    ],
  );
  assert.deepEqual(
    found[5]?.entry.extents,
    [512, 4096, 8192].map((offset) => ({ offset, length: 512 })),
  );
  assert.deepEqual(found[6]?.entry.extents, [{ offset: 4000, length: 6 }]);
  assert.equal(found[1]?.entry.mtime, 1_700_000_000_123_456_789n);
  assert.deepEqual(found[2]?.entry.xattrs.get('user.x'), Buffer.from([0, 10, 255]));
});

test('the pieces in which an archive comes make no difference', () => {
  const archive = sample();
  const whole = read(archive);
  const cut = fc.nat(archive.length);
  fc.assert(
    fc.property(fc.array(cut, { maxLength: 40 }), (cuts) => assert.deepEqual(read(archive, cuts), whole)),
    { numRuns: 300 },
  );
});

test('an archive that is cut is an error, unless it is cut between two members', () => {
  const archive = sample();
  const whole = names(archive);
  for (let length = 0; length < archive.length; length += 1) {
    let found: string[];
    try {
      found = names(archive.subarray(0, length));
    } catch (error) {
      assert.ok(error instanceof CodedError, `${length}: ${String(error)}`);
      continue;
    }
    assert.equal(length % 512, 0);
    assert.deepEqual(found, whole.slice(0, found.length));
  }
});

test('any damage ends in an error of ours or in entries, soon', () => {
  const archive = sample();
  const change = fc.record({ at: fc.nat(archive.length - 1), by: fc.integer({ min: 0, max: 255 }) });
  const long = process.env['HOLDFAST_TEST_LONG'] === '1';
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), fc.boolean(), (changes, sealed) => {
      const damaged = Buffer.from(archive);
      for (const { at, by } of changes) {
        damaged[at] = by;
        // With a sum that agrees the damage gets further.
        if (sealed) seal(damaged.subarray(at - (at % 512), at - (at % 512) + 512));
      }
      try {
        read(damaged);
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
      }
    }),
    { numRuns: long ? 200_000 : 5000 },
  );
});

test('headers that claim too much are refused before they are read', () => {
  const huge = memberOf({ name: 'PaxHeaders', type: 'x', size: 1 << 30 }).subarray(0, 512);
  assert.throws(() => read(huge), { message: 'archive/tar: header field too long' });
  const longName = memberOf({ name: 'L', type: 'L', size: META_BYTES_MAX + 1 }).subarray(0, 512);
  assert.throws(() => read(longName), { message: 'archive/tar: header field too long' });
});

test('sizes that are no exact number, or negative, are refused', () => {
  for (const bytes of ['80ffffffffffffffffffffff', '800000000020000000000001', 'ffffffffffffffffffffffff']) {
    const header = memberOf({ name: 'huge' });
    Buffer.from(bytes, 'hex').copy(header, 124);
    assert.throws(() => read(seal(header)), { message: 'archive/tar: invalid tar header' }, bytes);
  }
});

test('extents that overlap, leave the file or do not fit the data are refused', () => {
  const sparse = (...records: readonly (readonly [string, string])[]): Buffer =>
    Buffer.concat([
      memberOf({ name: 'p', type: 'x', data: records.map(([key, value]) => paxRecord(key, value)).join('') }),
      memberOf({ name: 'f', data: 'x'.repeat(10) }),
      tarOf(),
    ]);
  const map = (text: string): Buffer => sparse(['GNU.sparse.size', '100'], ['GNU.sparse.map', text]);
  assert.equal(read(map('0,5,50,5'))[0]?.entry.size, 100);
  for (const bad of ['5,5,0,5', '0,6,5,4', '95,10', '0,9', '0,11', '0', '0,x', `0,10,${2 ** 53},0`]) {
    assert.throws(() => read(map(bad)), CodedError, bad);
  }
});

test('a number in base 256 is read, of both signs where it is a time', () => {
  const bytes = Buffer.from('800000000000000200000000', 'hex');
  assert.equal(parseNumber(bytes, 0, 12), 2 ** 33);
  assert.equal(parseSeconds(Buffer.from('ffffffffffffffffffffffff', 'hex'), 0, 12), -1n);
});

test('PAX records are read as they are written, and a bad one is refused', () => {
  const key = fc.string({ minLength: 1 }).filter((text) => !/[=\0]/.test(text) && /^[\x20-\x7e]*$/.test(text));
  const value = fc.uint8Array({ maxLength: 1200 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
  fc.assert(
    fc.property(fc.dictionary(key, value, { noNullPrototype: true }), (records) => {
      delete records['GNU.sparse.offset'];
      const text = Object.entries(records)
        .map(([k, v]) => paxRecord(k, v))
        .join('');
      const { values } = parsePax(Buffer.from(text, 'latin1'));
      const readable = Object.entries(records).filter(([k, v]) => !(NAMES.has(k) && v.includes('\0')));
      assert.deepEqual(values, new Map(readable));
    }),
  );
  for (const bad of [
    'x',
    '5 a=b',
    '7 a=bcd\n',
    '99 a=b\n',
    '6 a=b\nx',
    '4 =\n',
    '0 a=b\n',
    '12 path=a\0b\n',
    '-6 a=b\n',
    '5 ab\n',
  ]) {
    assert.throws(() => parsePax(Buffer.from(bad, 'latin1')), CodedError, JSON.stringify(bad));
  }
});

const NAMES: ReadonlySet<string> = new Set(['path', 'linkpath', 'uname', 'gname', 'GNU.sparse.name']);

test('times have nanoseconds, and may lie before 1970', () => {
  assert.equal(parsePaxTime('12.5'), 12_500_000_000n);
  assert.equal(parsePaxTime('12.0000000019'), 12_000_000_001n);
  assert.equal(parsePaxTime('-1.25'), -1_250_000_000n);
  for (const bad of ['', '.', 'x', '1e3', '1.2.3', '1'.repeat(30)]) assert.throws(() => parsePaxTime(bad), CodedError);
});
