import { type Logger, pino } from 'pino';

/** containerd's names for levels are accepted too (`panic` is our `fatal`). */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'panic'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Lines kept while nobody takes them, bytes; those beyond are dropped. */
const BUFFER_BYTES_MAX = 4 << 20;

/**
 * JSON lines on stderr, where a supervisor (systemd, dockerd) takes them from. Common keys: `namespace`, `container`,
 * `durationMs`, `err`. Written in the thread pool: a supervisor that does not read must not stop the daemon. What is
 * not written yet is flushed at the exit.
 */
export const makeLog = (level: LogLevel): Logger => {
  const destination = pino.destination({ fd: 2, sync: false, maxLength: BUFFER_BYTES_MAX });
  destination.on('error', () => undefined); // nobody is there any more to be told
  return pino(
    {
      level: level === 'panic' ? 'fatal' : level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
};
