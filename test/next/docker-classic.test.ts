import './peers.ts';
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { type Dockerd, IMAGE } from '../harness/dockerd.ts';
import { testBed } from '../harness/temp.ts';
import { startEngine } from '../integration/docker-engine.ts';

// What the other files of Docker Engine take for granted here.

const bed = testBed();
let engine: Dockerd;
before(async () => {
  ({ engine } = await startEngine(bed));
});

test('engine and client are 28 or later', async () => {
  const text = await engine.docker('version', '--format', '{{.Client.Version}} {{.Server.Version}}');
  const majors = text.split(' ').map((version) => Number.parseInt(version, 10));
  assert.ok(majors.length === 2 && majors.every((major) => major >= 28), text);
});

test('the engine keeps its layers itself, and asks of us no method that we lack', async () => {
  assert.equal(await engine.docker('info', '--format', '{{.Driver}}'), 'overlay2');
  assert.ok(!(await engine.docker('info', '--format', '{{.DriverStatus}}')).includes('io.containerd.snapshotter'));
  await engine.docker('run', '--rm', IMAGE, 'true');
  assert.doesNotMatch(engine.log(), /unimplemented|not implement/i);
});
