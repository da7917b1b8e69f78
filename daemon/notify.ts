import { messageOf } from '../common/errdefs.ts';
import { sendDatagram } from '../native/index.ts';
import type { Logger } from 'pino';

/** Tells systemd, if it started us, how we are: `READY=1`, `STOPPING=1`, `STATUS=…`. Source: sd_notify(3). */
export type Notify = (state: string) => void;

export const systemdNotify = (log: Logger, environment: NodeJS.ProcessEnv = process.env): Notify => {
  const socket = environment.NOTIFY_SOCKET;
  if (socket === undefined || socket === '') return () => undefined;
  return (state) => {
    try {
      sendDatagram(socket, Buffer.from(state));
    } catch (error) {
      log.warn({ err: messageOf(error), state }, 'systemd was not told');
    }
  };
};
