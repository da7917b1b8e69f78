import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { exec, must, type Result } from '../harness/exec.ts';
import { repository } from '../harness/repository.ts';
import { eventually } from '../harness/wait.ts';

const NAME = 'holdfast.service';
const INSTALLED = join('/etc/systemd/system', NAME);

/** Our daemon as a unit of the systemd that runs here, with the unit file of the repository and nothing changed. */
export class Unit {
  /** Where the unit's processes are. */
  readonly cgroup = `/system.slice/${NAME}`;

  async install(): Promise<void> {
    copyFileSync(join(repository, 'daemon/systemd', NAME), INSTALLED);
    await must('systemctl', ['daemon-reload']);
  }

  async remove(): Promise<void> {
    rmSync(INSTALLED);
    await must('systemctl', ['daemon-reload']);
  }

  /** `systemctl VERB`, whatever it ends with. */
  systemctl(verb: string): Promise<Result> {
    return exec('systemctl', [verb, NAME], { timeoutMs: 120_000 });
  }

  /** `systemctl VERB`, which must succeed. */
  async ask(verb: 'start' | 'stop' | 'restart' | 'reset-failed'): Promise<void> {
    const { status, stderr } = await this.systemctl(verb);
    if (status !== 0) throw new Error(`systemctl ${verb}: ${stderr}\n${await this.journal()}`);
  }

  async property(name: string): Promise<string> {
    return (await must('systemctl', ['show', '--property', name, '--value', NAME])).trim();
  }

  /** The daemon. 0: there is none. */
  async mainPid(): Promise<number> {
    return Number(await this.property('MainPID'));
  }

  /** Waits until the unit is active with another main process. */
  async activeAgain(before: number): Promise<number> {
    return eventually(
      async () => {
        const pid = await this.mainPid();
        return pid !== 0 && pid !== before && (await this.property('ActiveState')) === 'active' && pid;
      },
      { ms: 60_000, everyMs: 200, what: 'systemd to start the daemon again' },
    );
  }

  /** What the daemon has logged, and systemd about it. */
  journal(): Promise<string> {
    return must('journalctl', ['--no-pager', '--output', 'cat', '--unit', NAME]);
  }
}
