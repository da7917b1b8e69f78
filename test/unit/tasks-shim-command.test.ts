import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { CodedError, codeOf, codes } from '../../common/errdefs.ts';
import { deleteByCommand, parseStarted, type ShimCommand, startShim } from '../../daemon/shims/shim-command.ts';
import { BootstrapResult } from '../../proto/gen/containerd/runtime/bootstrap/v1/bootstrap.ts';

const result = (change: Partial<BootstrapResult>): Buffer =>
  Buffer.from(
    BootstrapResult.encode(
      BootstrapResult.create({ version: 3, address: 'unix:///s', protocol: 'ttrpc', ...change }),
    ).finish(),
  );

test('a shim may say its address bare, as JSON or as a BootstrapResult', () => {
  assert.deepEqual(parseStarted(Buffer.from('unix:///run/s/1\n')), { address: 'unix:///run/s/1', version: 2 });
  assert.deepEqual(parseStarted(Buffer.from('/run/s/1')), { address: 'unix:///run/s/1', version: 2 });
  const json = '{"version":3,"address":"unix:///s","protocol":"ttrpc"}';
  assert.deepEqual(parseStarted(Buffer.from(json)), { address: 'unix:///s', version: 3 });
  assert.deepEqual(parseStarted(result({})), { address: 'unix:///s', version: 3 });
});

test('what is no address is refused with a code, whatever it is', () => {
  assert.throws(
    () => parseStarted(result({ protocol: 'grpc' })),
    (error) => codeOf(error) === codes.unimplemented,
  );
  assert.throws(
    () => parseStarted(result({ version: 9 })),
    (error) => codeOf(error) === codes.unimplemented,
  );
  assert.throws(() => parseStarted(Buffer.from('unix://@abstract')), CodedError);
  assert.throws(() => parseStarted(Buffer.from('')), CodedError);
  assert.throws(() => parseStarted(Buffer.from('hello world\n')), {
    message: 'shim said "hello world", which is no address',
  });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        assert.match(parseStarted(Buffer.from(bytes)).address, /^unix:\/\/\//);
      } catch (error) {
        assert.ok(error instanceof CodedError);
      }
    }),
  );
});

const withScript = async (
  script: string,
  body: (command: ShimCommand, folder: string) => Promise<void>,
): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-command-'));
  try {
    const command = join(folder, 'shim');
    writeFileSync(command, `#!/bin/sh\n${script}\n`);
    chmodSync(command, 0o755);
    const call = {
      command,
      args: [],
      env: process.env,
      address: '/d.sock',
      ttrpcAddress: '/d.sock.ttrpc',
      debug: true,
    };
    await body(call, folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

const task = { namespace: 'n', id: 'c', options: undefined };

test('start is called as containerd calls it: flags, environment, working directory', async () => {
  const script = 'echo "$*|$PWD|$TTRPC_ADDRESS|$GRPC_ADDRESS|$NAMESPACE|$MAX_SHIM_VERSION" > said; echo unix:///s';
  await withScript(script, async (call, folder) => {
    const { signal } = new AbortController();
    assert.deepEqual(await startShim(call, { ...task, bundle: folder }, signal), { address: 'unix:///s', version: 2 });
    const { readFileSync } = await import('node:fs');
    const said = readFileSync(join(folder, 'said'), 'utf8').trim();
    const flags = `-namespace n -address /d.sock -publish-binary ${process.argv[1]} -id c -debug start`;
    assert.equal(said, [flags, folder, '/d.sock.ttrpc', '/d.sock', 'n', '3'].join('|'));
  });
});

test('a start that fails says so in the words of the shim and its exit status', async () => {
  await withScript('echo no luck >&2; exit 1', async (call, folder) => {
    const { signal } = new AbortController();
    await assert.rejects(startShim(call, { ...task, bundle: folder }, signal), { message: 'no luck\n: exit status 1' });
  });
});

test('a start that hangs ends with its caller', async () => {
  await withScript('sleep 100', async (call, folder) => {
    const began = performance.now();
    await assert.rejects(
      startShim(call, { ...task, bundle: folder }, AbortSignal.timeout(100)),
      (error) => codeOf(error) === codes.deadlineExceeded,
    );
    assert.ok(performance.now() - began < 5_000);
  });
});

test('a delete that prints nothing has a response without values', async () => {
  await withScript('true', async (call, folder) => {
    const response = await deleteByCommand(call, { ...task, bundle: folder }, 5_000);
    assert.deepEqual([response.pid, response.exitStatus], [0, 0]);
  });
});
