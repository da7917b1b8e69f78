/** Times are nanoseconds since 1970. */
export const sql = /* sql */ `
-- id is the name of the snapshot's directory, and no other has ever had it: it comes from snapshot_leftovers.
CREATE TABLE snapshots (
  id          INTEGER NOT NULL PRIMARY KEY,
  namespace   TEXT    NOT NULL REFERENCES namespaces (name),
  snapshotter TEXT    NOT NULL,
  key         TEXT    NOT NULL,
  parent      INTEGER REFERENCES snapshots (id),
  kind        TEXT    NOT NULL CHECK (kind IN ('active', 'view', 'committed')),
  backend_key TEXT    NOT NULL, -- what one that another process keeps is called there
  size        INTEGER NOT NULL, -- bytes; measured when it is committed, 0 before
  inodes      INTEGER NOT NULL,
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  UNIQUE (namespace, snapshotter, key)
) STRICT;

CREATE INDEX snapshots_by_parent ON snapshots (parent);
CREATE INDEX snapshots_by_backend_key ON snapshots (snapshotter, backend_key);

CREATE TABLE snapshot_labels (
  snapshot INTEGER NOT NULL REFERENCES snapshots (id) ON DELETE CASCADE,
  key      TEXT    NOT NULL,
  value    TEXT    NOT NULL,
  PRIMARY KEY (snapshot, key)
) STRICT, WITHOUT ROWID;

-- What may lie on the disk, or in another process, and is no snapshot: being made, or removed and not yet deleted. One
-- that is found at a start is deleted. AUTOINCREMENT: an id is never used twice.
CREATE TABLE snapshot_leftovers (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  namespace   TEXT NOT NULL,
  snapshotter TEXT NOT NULL,
  backend_key TEXT NOT NULL
) STRICT;
`;
