import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packAny, unpackAny } from '../../common/any.ts';
import { ownOptions } from '../../daemon/shims/legacy-options.ts';
import { CreateOptions, RuncOptions } from '../../proto/gen/containerd/linux/runc/runc_v1.ts';
import { Options } from '../../proto/gen/containerd/runc/v1/runc_options.ts';

const runtime = packAny(
  'containerd.linux.runc.RuncOptions',
  RuncOptions,
  RuncOptions.fromPartial({ runtime: 'my-runc', runtimeRoot: '/run/mine', systemdCgroup: true }),
);
const create = packAny(
  'containerd.linux.runc.CreateOptions',
  CreateOptions,
  CreateOptions.fromPartial({ noPivotRoot: true, shimCgroup: '/s', ioUid: 5 }),
);
const modern = packAny('containerd.runc.v1.Options', Options, Options.fromPartial({ binaryName: 'crun', ioGid: 7 }));
const read = (any: ReturnType<typeof ownOptions>): Partial<Options> =>
  Object.fromEntries(
    Object.entries(unpackAny(any, 'containerd.runc.v1.Options', Options) ?? {}).filter(([, value]) => Boolean(value)),
  );

test('the two halves of the options of runtime v1 come together in the message of today', () => {
  assert.deepEqual(read(ownOptions(runtime, create)), {
    noPivotRoot: true,
    shimCgroup: '/s',
    ioUid: 5,
    binaryName: 'my-runc',
    root: '/run/mine',
    systemdCgroup: true,
  });
});

test('one half alone leaves the rest as it is', () => {
  assert.deepEqual(read(ownOptions(runtime, undefined)), {
    binaryName: 'my-runc',
    root: '/run/mine',
    systemdCgroup: true,
  });
  assert.deepEqual(read(ownOptions(modern, create)), {
    binaryName: 'crun', // ioGid is in both halves, and the old one has it as 0
    noPivotRoot: true,
    shimCgroup: '/s',
    ioUid: 5,
  });
});

test('options of today pass unchanged, and those of the Create win', () => {
  assert.equal(ownOptions(modern, undefined), modern);
  const other = packAny('containerd.runc.v1.Options', Options, Options.fromPartial({ root: '/x' }));
  assert.equal(ownOptions(modern, other), other);
  assert.equal(ownOptions(undefined, undefined), undefined);
});
