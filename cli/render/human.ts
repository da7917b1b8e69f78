const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;
const MONTH = 30 * DAY;
const YEAR = 365 * DAY;

const UNITS = [
  [YEAR, 'years', 2],
  [MONTH, 'months', 2],
  [WEEK, 'weeks', 2],
  [DAY, 'days', 2],
  [HOUR, 'hours', 1],
  [MINUTE, 'minutes', 1],
  [1, 'seconds', 1],
] as const;

/**
 * A length of time as one says it: `12 seconds`, `About a minute`, `3 hours`, `2 weeks`. A unit is used from two of it
 * on. Source: Docker's ps, whose words scripts look for.
 */
export const duration = (nanos: bigint): string => {
  const seconds = Number(nanos / 1_000_000_000n);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  const [size, name] = UNITS.find(([size, , from]) => seconds >= size * from) ?? [1, 'seconds'];
  const count = Math.floor(seconds / size);
  if (count > 1) return `${count} ${name}`;
  return size === HOUR ? 'About an hour' : 'About a minute';
};

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `512 B`, `41.3 MiB`. */
export const bytes = (count: number): string => {
  const power = count < 1 ? 0 : Math.min(Math.floor(Math.log2(count) / 10), BYTE_UNITS.length - 1);
  const amount = count / 1024 ** power;
  return `${power === 0 ? amount : amount.toFixed(1)} ${BYTE_UNITS[power]}`;
};

/** CPU time as ps writes it: `00:01:05`, with days before it `2-03:00:00`. */
export const clock = (nanos: bigint): string => {
  const seconds = Number(nanos / 1_000_000_000n);
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  const days = Math.floor(seconds / DAY);
  const time = [(seconds % DAY) / HOUR, (seconds % HOUR) / MINUTE, seconds % MINUTE].map(two).join(':');
  return days === 0 ? time : `${days}-${time}`;
};

/** When a process was started, as ps writes it: `14:05` within a day, `Mar01` before that. Local time. */
export const startClock = (atNanos: bigint, nowNanos: bigint): string => {
  const at = new Date(Number(atNanos / 1_000_000n));
  const two = (value: number): string => String(value).padStart(2, '0');
  if (nowNanos - atNanos < BigInt(DAY) * 1_000_000_000n) return `${two(at.getHours())}:${two(at.getMinutes())}`;
  return `${at.toLocaleString('en', { month: 'short' })}${two(at.getDate())}`;
};
