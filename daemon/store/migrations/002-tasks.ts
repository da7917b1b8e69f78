/** What runs. Rows of another boot mean nothing: the processes are gone, and reconcile removes them. */
export const sql = /* sql */ `
-- Shims that serve tasks. key: for our own the hash of common/bootstrap.ts, for others <namespace>/<id>.
CREATE TABLE shims (
  key        TEXT    NOT NULL PRIMARY KEY,
  namespace  TEXT    NOT NULL,
  id         TEXT    NOT NULL, -- the container for which it was started
  grp        TEXT    NOT NULL, -- the group annotation's value, or the id
  binary     TEXT    NOT NULL, -- '': our own
  address    TEXT    NOT NULL, -- unix://…; '': it has not said yet
  version    INTEGER NOT NULL, -- of the Task API
  pid        INTEGER NOT NULL, -- 0: not known
  start_time INTEGER NOT NULL, -- of that process, clock ticks since the boot
  boot_id    TEXT    NOT NULL,
  source     TEXT    NOT NULL  -- what its events name as their shim; '': none came yet
) STRICT, WITHOUT ROWID;

-- A task that is being created has a row already, which clients do not see: what its shim tells of it finds a place.
CREATE TABLE tasks (
  namespace   TEXT    NOT NULL,
  id          TEXT    NOT NULL,
  shim        TEXT    NOT NULL REFERENCES shims (key),
  bundle      TEXT    NOT NULL,
  status      TEXT    NOT NULL CHECK (status IN ('creating', 'created', 'running', 'paused', 'stopped')),
  pid         INTEGER NOT NULL,
  stdin       TEXT    NOT NULL,
  stdout      TEXT    NOT NULL,
  stderr      TEXT    NOT NULL,
  terminal    INTEGER NOT NULL,
  stdin_closed INTEGER NOT NULL, -- 1: the end of the input has been asked for
  exit_status INTEGER,          -- NULL: it has not ended
  exited_at   INTEGER,
  announced   INTEGER NOT NULL, -- 1: its exit is in the event log
  changed_at  INTEGER NOT NULL, -- when the status changed last, as far as we know
  PRIMARY KEY (namespace, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE execs (
  namespace   TEXT    NOT NULL,
  task        TEXT    NOT NULL,
  id          TEXT    NOT NULL,
  status      TEXT    NOT NULL CHECK (status IN ('adding', 'created', 'running', 'stopped')),
  pid         INTEGER NOT NULL,
  stdin       TEXT    NOT NULL,
  stdout      TEXT    NOT NULL,
  stderr      TEXT    NOT NULL,
  terminal    INTEGER NOT NULL,
  stdin_closed INTEGER NOT NULL, -- 1: the end of the input has been asked for
  exit_status INTEGER,
  exited_at   INTEGER,
  announced   INTEGER NOT NULL,
  PRIMARY KEY (namespace, task, id),
  FOREIGN KEY (namespace, task) REFERENCES tasks (namespace, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Written before the first side effect of a verb and removed after its last: one that is found at a start was cut.
CREATE TABLE intents (
  namespace TEXT    NOT NULL,
  id        TEXT    NOT NULL,
  verb      TEXT    NOT NULL CHECK (verb IN ('create', 'delete')),
  begun_at  INTEGER NOT NULL,
  PRIMARY KEY (namespace, id)
) STRICT, WITHOUT ROWID;

-- What a delete answered that its client may not have heard: asked again, it gets the same. exec '': the task's own.
CREATE TABLE tombstones (
  namespace   TEXT    NOT NULL,
  id          TEXT    NOT NULL,
  exec        TEXT    NOT NULL,
  pid         INTEGER NOT NULL,
  exit_status INTEGER NOT NULL,
  exited_at   INTEGER NOT NULL,
  PRIMARY KEY (namespace, id, exec)
) STRICT, WITHOUT ROWID;
`;
