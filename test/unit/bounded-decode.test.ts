import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packAny, unpackAny } from '../../common/any.ts';
import { decodeBounded, FIELDS_MAX } from '../../common/bounded-decode.ts';
import { codes } from '../../common/errdefs.ts';
import { decodePayload } from '../../daemon/events/fields.ts';
import { TaskCreate } from '../../proto/gen/containerd/events/event_payloads.ts';
import {
  CreateContainerRequest,
  ListContainersRequest,
} from '../../proto/gen/containerd/services/containers/v1/containers.ts';

/** `count` empty fields of a message, two bytes each. */
const empties = (field: number, count: number): Buffer =>
  Buffer.alloc(2 * count).fill(Buffer.from([(field << 3) | 2, 0]));

/** A message within a message, as its field `field`. */
const nested = (field: number, message: Buffer): Buffer => {
  const length: number[] = [];
  for (let rest = message.length; rest > 0; rest >>>= 7) length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
  return Buffer.concat([Buffer.from([(field << 3) | 2, ...length]), message]);
};

const TOO_MANY = FIELDS_MAX + 1;

test('as many fields as the limit are decoded, one more is ResourceExhausted that says what and how many', () => {
  const { filters } = decodeBounded(ListContainersRequest, empties(1, FIELDS_MAX), 'a list');
  assert.equal(filters.length, FIELDS_MAX);
  assert.throws(() => decodeBounded(ListContainersRequest, empties(1, TOO_MANY), 'a list'), {
    code: codes.resourceExhausted,
    message: `a list of ${2 * TOO_MANY} bytes has more than ${FIELDS_MAX} fields`,
  });
});

test('fields count wherever they are: in messages within, in what is unknown, in groups, in one that is said again', () => {
  const LABELS = 2;
  const EXTENSIONS = 10;
  const UNKNOWN = 15;
  const attacks = [
    nested(1, empties(LABELS, TOO_MANY)),
    nested(1, empties(EXTENSIONS, TOO_MANY)),
    nested(1, empties(UNKNOWN, TOO_MANY)),
    empties(1, TOO_MANY),
    Buffer.concat([Buffer.from([(UNKNOWN << 3) | 3]), empties(1, TOO_MANY), Buffer.from([(UNKNOWN << 3) | 4])]),
  ];
  for (const bytes of attacks) {
    assert.throws(() => decodeBounded(CreateContainerRequest, bytes, 'x'), { code: codes.resourceExhausted });
  }
});

test('a message that is cut, or that goes on after what can begin no field, is none', () => {
  const cut = [Buffer.from([0x0a, 5, 65]), Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff]), Buffer.from([0x0a])];
  for (const bytes of cut) {
    assert.throws(() => decodeBounded(ListContainersRequest, bytes, 'x'), { message: 'unexpected EOF' });
  }
  for (const bytes of [Buffer.from([0x00, 1]), Buffer.from([0x0c, 1])]) {
    assert.throws(() => decodeBounded(ListContainersRequest, bytes, 'x'), {
      message: 'illegal tag before byte 1 of 2',
    });
  }
});

test('a container with 10,000 labels and a Spec of 2 MB is decoded as it is', () => {
  const labels = new Map(Array.from({ length: 10_000 }, (_, index) => [`key-${index}`, `value-${index}`]));
  const spec = { typeUrl: 'x', value: Buffer.alloc(2 << 20, 'x') };
  const request = CreateContainerRequest.fromPartial({ container: { id: 'c', labels, spec } });
  const bytes = CreateContainerRequest.encode(request).finish();
  assert.deepEqual(decodeBounded(CreateContainerRequest, bytes, 'x'), CreateContainerRequest.decode(bytes));
});

test('what is packed in an Any has the same limit; for a filter of events it has no fields then', () => {
  const ROOTFS = 3;
  const any = { typeUrl: 'containerd.events.TaskCreate', value: empties(ROOTFS, TOO_MANY) };
  assert.throws(() => unpackAny(any, 'containerd.events.TaskCreate', TaskCreate), { code: codes.resourceExhausted });
  assert.equal(decodePayload(any), undefined);
  const fine = packAny('containerd.events.TaskCreate', TaskCreate, TaskCreate.fromPartial({ containerId: 'c' }));
  assert.equal(decodePayload(fine)?.['containerId'], 'c');
});
