import type { Daemon } from '../harness/daemon.ts';
import { type Dockerd, type DockerdOptions, IMAGE, startDockerd } from '../harness/dockerd.ts';
import { startSubject } from '../harness/subject.ts';
import type { Bed } from '../harness/temp.ts';
import { eventually } from '../harness/wait.ts';

export interface Engine {
  /** What Docker Engine runs on. */
  readonly daemon: Daemon;
  readonly engine: Dockerd;
}

/** Starts our daemon and an unmodified Docker Engine on it. */
export const startEngine = async (bed: Bed, options: Omit<DockerdOptions, 'containerd'> = {}): Promise<Engine> => {
  const daemon = await startSubject(bed);
  return { daemon, engine: await startDockerd(bed, { ...options, containerd: daemon.address }) };
};

/** Waits until a field of `docker inspect` has a value. */
export const reaches = async (
  engine: Dockerd,
  id: string,
  field: string,
  value: string,
  ms = 30_000,
): Promise<void> => {
  let seen = '';
  await eventually(async () => (seen = await engine.inspect(id, field)) === value, { ms, everyMs: 50 }).catch(
    (cause: unknown) => {
      throw new Error(`${field} of ${id} is ${seen} and not ${value}`, { cause });
    },
  );
};

/** After an outage of what it runs on the engine connects again by itself; this waits until it runs containers again. */
export const reconnected = (engine: Dockerd): Promise<unknown> =>
  eventually(async () => (await engine.run(['run', '--rm', IMAGE, 'true'])).status === 0, {
    ms: 60_000,
    everyMs: 100,
    what: 'the engine to have connected again',
  });

/** The exit code of each end of a container that the engine has told of. */
export const diesOf = async (engine: Dockerd, id: string): Promise<string[]> => {
  const until = String(Math.floor(Date.now() / 1000) + 1);
  const filters = ['--filter', `container=${id}`, '--filter', 'event=die'];
  const format = ['--format', '{{.Actor.Attributes.exitCode}}'];
  const text = await engine.docker('events', '--since', '0', '--until', until, ...filters, ...format);
  return text.split('\n').filter((line) => line !== '');
};
