import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Container, ContainersDefinition } from '../../proto/gen/containerd/services/containers/v1/containers.ts';
import { ContentDefinition } from '../../proto/gen/containerd/services/content/v1/content.ts';
import { EventsDefinition } from '../../proto/gen/containerd/services/events/v1/events.ts';
import { ImagesDefinition } from '../../proto/gen/containerd/services/images/v1/images.ts';
import { LeasesDefinition } from '../../proto/gen/containerd/services/leases/v1/leases.ts';
import { NamespacesDefinition } from '../../proto/gen/containerd/services/namespaces/v1/namespaces.ts';
import { SnapshotsDefinition } from '../../proto/gen/containerd/services/snapshots/v1/snapshots.ts';
import { HealthDefinition } from '../../proto/gen/grpc/health/v1/health.ts';
import { cleanUp, connect, startDaemon, temporaryFolder, type TestDaemon } from './daemon-harness.ts';

// The same calls to a real containerd and to ours, in the same order; code, text and reply are to be the same.

const clients = (address: string) => ({
  address,
  containers: connect(address, ContainersDefinition),
  content: connect(address, ContentDefinition),
  images: connect(address, ImagesDefinition),
  namespaces: connect(address, NamespacesDefinition),
  leases: connect(address, LeasesDefinition),
  events: connect(address, EventsDefinition),
  health: connect(address, HealthDefinition),
  snapshots: connect(address, SnapshotsDefinition),
});
export type Clients = ReturnType<typeof clients>;

let daemon: TestDaemon;
let ours: Clients;
let theirs: Clients;
let stopContainerd: () => Promise<void>;

before(async () => {
  daemon = await startDaemon();
  ours = clients(daemon.address);
  const folder = temporaryFolder();
  const address = join(folder, 'c.sock');
  // What nothing refers to is not to be collected in the middle of a test.
  const collection = `[plugins."io.containerd.gc.v1.scheduler"]\nstartup_delay = "1h"\nmutation_threshold = 1000000\n`;
  writeFileSync(
    join(folder, 'config.toml'),
    `version = 2\nroot = "${folder}/root"\nstate = "${folder}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "${address}"\n${collection}`,
  );
  const containerd = spawn('containerd', ['--config', join(folder, 'config.toml')], { stdio: 'ignore' });
  const ended = once(containerd, 'exit');
  stopContainerd = async () => {
    containerd.kill();
    await ended;
    rmSync(folder, { recursive: true });
  };
  while (!existsSync(address)) await sleep(20);
  theirs = clients(address);
});
after(async () => {
  await cleanUp(daemon);
  await stopContainerd();
});

type Action = (to: Clients) => Promise<unknown>;

/** A reply without what differs from one moment to the next, or an error's code and text. */
const outcome = async (action: Action, to: Clients): Promise<unknown> => {
  try {
    return JSON.parse(JSON.stringify(await action(to), comparable)) as unknown;
  } catch (error) {
    const { code, details } = error as { code?: number; details?: string };
    if (code === undefined) throw error;
    return { code, details };
  }
};

export const comparable = (key: string, value: unknown): unknown => {
  if (key === 'createdAt' || key === 'updatedAt') return value === undefined ? 'absent' : 'a time';
  if (value instanceof Map) return sorted(value as Map<string, unknown>);
  return typeof value === 'bigint' ? String(value) : value;
};

/** A Go map comes in any order. */
const sorted = (map: Map<string, unknown>): [string, unknown][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

export const same = (name: string, action: Action): void => {
  test(name, async () => {
    const expected = await outcome(action, theirs);
    assert.deepEqual(await outcome(action, ours), expected);
  });
};

export const spec = { typeUrl: 'types.containerd.io/opencontainers/runtime-spec/1/Spec', value: Buffer.from('{}') };
export const container = (more: Partial<Container> = {}): Container => ({
  id: 'a',
  labels: new Map(),
  image: '',
  runtime: { name: 'io.containerd.runc.v2', options: undefined },
  spec,
  snapshotter: '',
  snapshotKey: '',
  createdAt: undefined,
  updatedAt: undefined,
  extensions: new Map(),
  sandbox: '',
  ...more,
});
export const namespace = (name: string): { metadata: Record<string, string> } => ({
  metadata: { 'containerd-namespace': name },
});
export const longLabel = new Map([['k'.repeat(20), 'x'.repeat(5000)]]);
