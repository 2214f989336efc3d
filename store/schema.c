/* SPDX-License-Identifier: Apache-2.0 */
#include "store/schema.h"

#include "base/alloc.h"

/* Deleting a layer that something still names fails on the foreign key: a bug in gc cannot lose
 * data that is in use. */
static const char version_1[] =
	"CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"

	"CREATE TABLE blob ("
	" digest BLOB PRIMARY KEY,"
	" size INTEGER NOT NULL,"
	" boot TEXT," /* written in this boot and not yet synced; NULL: durable */
	" created INTEGER NOT NULL"
	") STRICT, WITHOUT ROWID;"

	"CREATE TABLE layer ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" has_dir INTEGER NOT NULL DEFAULT 0,"
	" boot TEXT,"
	" diff_id BLOB,"
	" blob BLOB,"
	" blob_type TEXT,"
	" blob_size INTEGER,"
	" size INTEGER NOT NULL DEFAULT 0,"
	" tree_digest BLOB,"
	" source TEXT,"
	" created INTEGER NOT NULL"
	") STRICT;"
	"CREATE INDEX layer_diff_id ON layer (diff_id) WHERE diff_id IS NOT NULL;"
	"CREATE INDEX layer_blob ON layer (blob) WHERE blob IS NOT NULL;"

	"CREATE TABLE lease ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" name TEXT NOT NULL UNIQUE,"
	" created INTEGER NOT NULL"
	") STRICT;"
	"CREATE TABLE lease_layer ("
	" lease INTEGER NOT NULL REFERENCES lease (id) ON DELETE CASCADE,"
	" layer INTEGER NOT NULL REFERENCES layer (id),"
	" PRIMARY KEY (lease, layer)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX lease_layer_layer ON lease_layer (layer);"
	"CREATE TABLE lease_blob ("
	" lease INTEGER NOT NULL REFERENCES lease (id) ON DELETE CASCADE,"
	" digest BLOB NOT NULL,"
	" PRIMARY KEY (lease, digest)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX lease_blob_digest ON lease_blob (digest);"

	"CREATE TABLE record ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" data BLOB NOT NULL,"
	" description TEXT NOT NULL,"
	" created INTEGER NOT NULL,"
	" duration INTEGER NOT NULL,"
	" last_used INTEGER NOT NULL,"
	" uses INTEGER NOT NULL DEFAULT 0,"
	" checksum INTEGER NOT NULL"
	") STRICT;"
	"CREATE TABLE record_layer ("
	" record INTEGER NOT NULL REFERENCES record (id) ON DELETE CASCADE,"
	" position INTEGER NOT NULL,"
	" layer INTEGER NOT NULL REFERENCES layer (id),"
	" PRIMARY KEY (record, position)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX record_layer_layer ON record_layer (layer);"
	"CREATE TABLE record_key ("
	" key BLOB PRIMARY KEY,"
	" record INTEGER NOT NULL REFERENCES record (id) ON DELETE CASCADE"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX record_key_record ON record_key (record);"

	"CREATE TABLE pin ("
	" name TEXT PRIMARY KEY,"
	" value TEXT NOT NULL,"
	" time INTEGER NOT NULL"
	") STRICT, WITHOUT ROWID;"

	"CREATE TABLE chain ("
	" key BLOB PRIMARY KEY,"
	" top INTEGER NOT NULL REFERENCES layer (id) ON DELETE CASCADE,"
	" digest BLOB NOT NULL"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX chain_top ON chain (top);"

	"CREATE TABLE image ("
	" manifest BLOB PRIMARY KEY,"
	" config BLOB NOT NULL,"
	" created INTEGER NOT NULL,"
	" added INTEGER NOT NULL,"
	" size INTEGER NOT NULL,"
	" os TEXT NOT NULL,"
	" arch TEXT NOT NULL,"
	" variant TEXT NOT NULL"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX image_config ON image (config);"
	"CREATE TABLE image_layer ("
	" manifest BLOB NOT NULL REFERENCES image (manifest) ON DELETE CASCADE,"
	" position INTEGER NOT NULL,"
	" layer INTEGER NOT NULL REFERENCES layer (id),"
	" PRIMARY KEY (manifest, position)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX image_layer_layer ON image_layer (layer);"
	"CREATE TABLE image_blob ("
	" manifest BLOB NOT NULL REFERENCES image (manifest) ON DELETE CASCADE,"
	" digest BLOB NOT NULL,"
	" PRIMARY KEY (manifest, digest)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX image_blob_digest ON image_blob (digest);"
	"CREATE TABLE tag ("
	" name TEXT PRIMARY KEY,"
	" manifest BLOB NOT NULL REFERENCES image (manifest) ON DELETE CASCADE,"
	" origin INTEGER NOT NULL,"
	" updated INTEGER NOT NULL"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX tag_manifest ON tag (manifest);"

	"CREATE TABLE mount ("
	" id TEXT NOT NULL,"
	" instance INTEGER NOT NULL,"
	" dir INTEGER NOT NULL UNIQUE,"
	" created INTEGER NOT NULL,"
	" last_used INTEGER NOT NULL,"
	" uses INTEGER NOT NULL DEFAULT 0,"
	" PRIMARY KEY (id, instance)"
	") STRICT, WITHOUT ROWID;";

/* usage.bytes is what the files of blobs, layers and cache mounts take: kept by the database
 * itself, so that no writer can forget it and nobody has to add it up. */
static const char version_2[] =
	"ALTER TABLE layer ADD COLUMN disk INTEGER NOT NULL DEFAULT 0;"
	"UPDATE layer SET disk = size WHERE has_dir <> 0;"
	"ALTER TABLE record ADD COLUMN type TEXT NOT NULL DEFAULT 'regular';"
	"ALTER TABLE mount ADD COLUMN size INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE mount ADD COLUMN step TEXT NOT NULL DEFAULT '';"

	"CREATE TABLE usage ("
	" one INTEGER PRIMARY KEY CHECK (one = 1),"
	" bytes INTEGER NOT NULL"
	") STRICT;"
	"INSERT INTO usage SELECT 1, (SELECT coalesce(sum(size), 0) FROM blob) +"
	" (SELECT coalesce(sum(disk), 0) FROM layer WHERE has_dir <> 0);"

	"CREATE TRIGGER blob_added AFTER INSERT ON blob BEGIN"
	" UPDATE usage SET bytes = bytes + new.size; END;"
	"CREATE TRIGGER blob_changed AFTER UPDATE OF size ON blob BEGIN"
	" UPDATE usage SET bytes = bytes + new.size - old.size; END;"
	"CREATE TRIGGER blob_removed AFTER DELETE ON blob BEGIN"
	" UPDATE usage SET bytes = bytes - old.size; END;"
	"CREATE TRIGGER layer_changed AFTER UPDATE OF has_dir, disk ON layer BEGIN"
	" UPDATE usage SET bytes = bytes + new.has_dir * new.disk - old.has_dir * old.disk; END;"
	"CREATE TRIGGER layer_removed AFTER DELETE ON layer BEGIN"
	" UPDATE usage SET bytes = bytes - old.has_dir * old.disk; END;"
	"CREATE TRIGGER mount_changed AFTER UPDATE OF size ON mount BEGIN"
	" UPDATE usage SET bytes = bytes + new.size - old.size; END;"
	"CREATE TRIGGER mount_removed AFTER DELETE ON mount BEGIN"
	" UPDATE usage SET bytes = bytes - old.size; END;";

static const char version_3[] =
	"CREATE TABLE trace ("
	" record INTEGER PRIMARY KEY REFERENCES record (id) ON DELETE CASCADE,"
	" op BLOB NOT NULL,"
	" kind INTEGER NOT NULL,"
	" place TEXT NOT NULL,"
	" data BLOB NOT NULL"
	") STRICT;"
	"CREATE INDEX trace_op ON trace (op);"
	"CREATE INDEX trace_place ON trace (place);";

/* A layer made here may have an index and a blob, but no dir until something needs one. */
static const char version_4[] = "ALTER TABLE layer ADD COLUMN has_index INTEGER NOT NULL DEFAULT 0;"
				"UPDATE layer SET has_index = has_dir;";

/* The layers of a record beside its other columns, so that a look-up reads one row: the numbers of
 * record_layer in order, separated by blanks. */
static const char version_5[] =
	"ALTER TABLE record ADD COLUMN layers TEXT NOT NULL DEFAULT '';"
	"UPDATE record SET layers = coalesce((SELECT group_concat(layer, ' ') FROM"
	" (SELECT layer FROM record_layer WHERE record = record.id ORDER BY position)), '');";

/* What every build writes of the records that it uses apart from what it reads of them: a page
 * holds some hundred rows of the one and a dozen of the other. */
static const char version_6[] =
	"CREATE TABLE record_use ("
	" record INTEGER PRIMARY KEY REFERENCES record (id) ON DELETE CASCADE,"
	" last_used INTEGER NOT NULL,"
	" uses INTEGER NOT NULL DEFAULT 0"
	") STRICT;"
	"INSERT INTO record_use (record, last_used, uses) SELECT id, last_used, uses FROM record;"
	"ALTER TABLE record DROP COLUMN last_used;"
	"ALTER TABLE record DROP COLUMN uses;";

/* The tar of a layer made before is a difference to the layers below it, found out as it is
 * written; what it holds is not what its index says. */
static const char version_7[] = "ALTER TABLE layer ADD COLUMN exact INTEGER NOT NULL DEFAULT 0;";

/* Each record listed its whole chain of layers, which took n * n / 2 rows for n steps. What they
 * share is now there once (store/stack.h). */
static const char version_8[] =
	"CREATE TABLE stack ("
	" id INTEGER PRIMARY KEY," /* chain_id(parent or 0, layer) */
	" parent INTEGER REFERENCES stack (id),"
	" layer INTEGER NOT NULL REFERENCES layer (id)"
	") STRICT;"
	"CREATE INDEX stack_parent ON stack (parent) WHERE parent IS NOT NULL;"
	"CREATE INDEX stack_layer ON stack (layer);"
	"ALTER TABLE record ADD COLUMN stack INTEGER REFERENCES stack (id);"

	"CREATE TABLE step AS WITH RECURSIVE step (record, position, id, parent, layer) AS ("
	"SELECT record, position, chain_id(0, layer), NULL, layer FROM record_layer"
	" WHERE position = 0"
	" UNION ALL SELECT l.record, l.position, chain_id(step.id, l.layer), step.id, l.layer"
	" FROM step JOIN record_layer l ON l.record = step.record AND"
	" l.position = step.position + 1) SELECT * FROM step;"
	"INSERT OR IGNORE INTO stack (id, parent, layer) SELECT id, parent, layer FROM step;"
	"UPDATE record SET stack = top.id FROM"
	" (SELECT record, id, max(position) FROM step GROUP BY record) AS top"
	" WHERE top.record = record.id;"
	"CREATE INDEX record_stack ON record (stack) WHERE stack IS NOT NULL;"
	"DROP TABLE step;"
	"DROP TABLE record_layer;";

const char *const schema_scripts[] = {version_1, version_2, version_3, version_4,
				      version_5, version_6, version_7, version_8};
const int schema_version = (int)ARRAY_SIZE(schema_scripts);
