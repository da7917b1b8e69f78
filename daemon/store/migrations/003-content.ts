/** Blobs lie below io.containerd.content.v1.content in the root; here is who may read them, and what is being written. */
export const sql = /* sql */ `
-- A namespace's right to a blob. The file goes when no row, and no claim of an ingest, names its digest.
CREATE TABLE content (
  namespace  TEXT    NOT NULL REFERENCES namespaces (name),
  digest     TEXT    NOT NULL,
  size       INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (namespace, digest)
) STRICT, WITHOUT ROWID;

CREATE INDEX content_digest ON content (digest);

CREATE TABLE content_labels (
  namespace TEXT NOT NULL,
  digest    TEXT NOT NULL,
  key       TEXT NOT NULL,
  value     TEXT NOT NULL,
  PRIMARY KEY (namespace, digest, key),
  FOREIGN KEY (namespace, digest) REFERENCES content (namespace, digest) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- A blob that is being written. How far it has come, and when, its file says. The id makes the directory's name: one
-- that is begun anew under the same reference never meets what is left of the one before.
CREATE TABLE ingests (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  namespace  TEXT    NOT NULL REFERENCES namespaces (name) ON DELETE CASCADE,
  ref        TEXT    NOT NULL,
  total      INTEGER NOT NULL, -- 0: nobody has said
  claim      TEXT    NOT NULL, -- digest of another namespace's blob that it stands for; '': it has data of its own
  started_at INTEGER NOT NULL,
  expires_at INTEGER,          -- may be collected then; NULL: a lease has held it from its beginning
  UNIQUE (namespace, ref)
) STRICT;

CREATE INDEX ingests_claim ON ingests (claim) WHERE claim <> '';
`;
