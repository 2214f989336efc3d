/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a temporary directory, and layers written down in a few words, for tests of what reads
 * layers. Included after cmocka.h. */
#ifndef KILN_TESTS_LAYER_FIXTURE_H
#define KILN_TESTS_LAYER_FIXTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "store/layer.h"
#include "tests/unit/store/durable_check.h"

struct fixture {
	char root[64];
	struct store *s;
};

static inline int set_up(void **state)
{
	struct fixture *f = NEW(struct fixture);

	snprintf(f->root, sizeof(f->root), "/tmp/kiln-test-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	assert_int_equal(store_open(f->root, &f->s, NULL), 0);
	durable_check_start(f->root);
	*state = f;
	return 0;
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;
	int r = durable_check_end();

	store_close(f->s);
	assert_int_equal(fs_remove_tree(AT_FDCWD, f->root), 0);
	free(f);
	return r;
}

/* One entry of a layer in short: 'd' directory, 'f' file (its text is in `text`), 'l' symlink, 'h'
 * hard link, 'w' whiteout, 'o' opaque directory. */
struct line {
	char type;
	const char *path;
	const char *text;
	uint32_t mode;
	int64_t mtime;
};

static inline void put_line(struct layer_writer *w, const struct line *l)
{
	static const char letters[] = "dflhwo";
	static const enum entry_type types[] = {ENTRY_DIR,	ENTRY_FILE,	ENTRY_SYMLINK,
						ENTRY_HARDLINK, ENTRY_WHITEOUT, ENTRY_DIR};
	struct entry e = {.path = l->path,
			  .type = types[strchr(letters, l->type) - letters],
			  .mode = l->mode	   ? l->mode
				  : l->type == 'f' ? 0644
						   : 0755,
			  .mtime = l->mtime ? l->mtime : 1000,
			  .link = l->type == 'l' || l->type == 'h' ? l->text : NULL,
			  .opaque = l->type == 'o'};

	if (l->type != 'f') {
		assert_int_equal(layer_writer_put(w, &e, NULL), 0);
		return;
	}
	assert_int_equal(layer_writer_file(w, &e, NULL), 0);
	assert_int_equal(layer_writer_write(w, l->text, strlen(l->text), NULL), 0);
	assert_int_equal(layer_writer_file_end(w, NULL, NULL), 0);
}

static inline int64_t make_layer(struct fixture *f, const struct line *lines, size_t n)
{
	struct layer_writer *w;
	int64_t id;

	assert_int_equal(layer_writer_open(f->s, &w, NULL), 0);
	for (size_t i = 0; i < n; i++)
		put_line(w, &lines[i]);
	assert_int_equal(layer_writer_commit(w, &id, NULL), 0);
	layer_writer_free(w);
	return id;
}
#define LAYER(f, ...)                                     \
	make_layer(f, (const struct line[]){__VA_ARGS__}, \
		   sizeof((const struct line[]){__VA_ARGS__}) / sizeof(struct line))

#endif
