/** Times are nanoseconds since 1970. An Any is two columns: type URL and value; NULL both: there is none. */
export const sql = /* sql */ `
-- A namespace is here when somebody created or labelled it, or when something was created in it: in containerd too,
-- nobody has to create one first.
CREATE TABLE namespaces (
  name TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE namespace_labels (
  namespace TEXT NOT NULL REFERENCES namespaces (name) ON DELETE CASCADE,
  key       TEXT NOT NULL,
  value     TEXT NOT NULL,
  PRIMARY KEY (namespace, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE containers (
  namespace            TEXT    NOT NULL REFERENCES namespaces (name),
  id                   TEXT    NOT NULL,
  image                TEXT    NOT NULL,
  runtime_name         TEXT    NOT NULL,
  runtime_options_type TEXT,
  runtime_options      BLOB,
  spec_type            TEXT    NOT NULL,
  spec                 BLOB    NOT NULL,
  snapshotter          TEXT    NOT NULL,
  snapshot_key         TEXT    NOT NULL,
  sandbox              TEXT    NOT NULL,
  created_at           INTEGER NOT NULL,
  updated_at           INTEGER NOT NULL,
  PRIMARY KEY (namespace, id)
) STRICT;

CREATE TABLE container_labels (
  namespace TEXT NOT NULL,
  container TEXT NOT NULL,
  key       TEXT NOT NULL,
  value     TEXT NOT NULL,
  PRIMARY KEY (namespace, container, key),
  FOREIGN KEY (namespace, container) REFERENCES containers (namespace, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE container_extensions (
  namespace TEXT NOT NULL,
  container TEXT NOT NULL,
  name      TEXT NOT NULL,
  type_url  TEXT NOT NULL,
  value     BLOB NOT NULL,
  PRIMARY KEY (namespace, container, name),
  FOREIGN KEY (namespace, container) REFERENCES containers (namespace, id) ON DELETE CASCADE
) STRICT;

CREATE TABLE leases (
  namespace  TEXT    NOT NULL REFERENCES namespaces (name) ON DELETE CASCADE,
  id         TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (namespace, id)
) STRICT;

CREATE TABLE lease_labels (
  namespace TEXT NOT NULL,
  lease     TEXT NOT NULL,
  key       TEXT NOT NULL,
  value     TEXT NOT NULL,
  PRIMARY KEY (namespace, lease, key),
  FOREIGN KEY (namespace, lease) REFERENCES leases (namespace, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- type: content, ingests, images, or snapshots/<snapshotter>
CREATE TABLE lease_resources (
  namespace TEXT NOT NULL,
  lease     TEXT NOT NULL,
  type      TEXT NOT NULL,
  id        TEXT NOT NULL,
  PRIMARY KEY (namespace, lease, type, id),
  FOREIGN KEY (namespace, lease) REFERENCES leases (namespace, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- The event log. AUTOINCREMENT: a sequence is never used twice, also after old rows were trimmed.
CREATE TABLE events (
  sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
  namespace    TEXT    NOT NULL,
  topic        TEXT    NOT NULL,
  timestamp    INTEGER NOT NULL,
  type_url     TEXT    NOT NULL,
  value        BLOB    NOT NULL
) STRICT;

-- How far each shim's events have come: they arrive in order, so a sequence up to this one is a repeat.
CREATE TABLE shim_sequences (
  shim     TEXT    NOT NULL PRIMARY KEY,
  sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How far Docker's subscriptions have been served (daemon/events/replay.ts); filters: canonical JSON.
CREATE TABLE event_cursors (
  filters  TEXT    NOT NULL PRIMARY KEY,
  sequence INTEGER NOT NULL,
  used_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`;
