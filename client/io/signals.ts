import { constants } from 'node:os';
import type { Process } from '../process.ts';

/** What a person or a supervisor sends to say something; the rest is about this process itself or cannot be caught. */
const FORWARDED = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGCONT'] as const;

/**
 * Signals that this process gets go to `target` instead, until disposed. `onForward` is told of each one.
 * A signal that finds the target ended, or the daemon away, is dropped.
 */
export const forwardSignals = (
  target: Process,
  onForward: (name: NodeJS.Signals, sent: Promise<void>) => void = () => undefined,
): Disposable => {
  const forward = (name: NodeJS.Signals): void => {
    const sent = target.kill(constants.signals[name]);
    sent.catch(() => undefined);
    onForward(name, sent);
  };
  for (const name of FORWARDED) process.on(name, forward);
  return {
    [Symbol.dispose]: () => {
      for (const name of FORWARDED) process.off(name, forward);
    },
  };
};
