/** Names for content. What is kept of a descriptor is what containerd keeps. */
export const sql = /* sql */ `
CREATE TABLE images (
  namespace  TEXT    NOT NULL REFERENCES namespaces (name),
  name       TEXT    NOT NULL,
  digest     TEXT    NOT NULL,
  media_type TEXT    NOT NULL,
  size       INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (namespace, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE image_labels (
  namespace TEXT NOT NULL,
  image     TEXT NOT NULL,
  key       TEXT NOT NULL,
  value     TEXT NOT NULL,
  PRIMARY KEY (namespace, image, key),
  FOREIGN KEY (namespace, image) REFERENCES images (namespace, name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Of the target.
CREATE TABLE image_annotations (
  namespace TEXT NOT NULL,
  image     TEXT NOT NULL,
  key       TEXT NOT NULL,
  value     TEXT NOT NULL,
  PRIMARY KEY (namespace, image, key),
  FOREIGN KEY (namespace, image) REFERENCES images (namespace, name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
`;
