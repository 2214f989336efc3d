/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/digest.h"
#include "base/file_read.h"
#include "base/fs.h"

#define MIB (1 << 20)

/* A file without a name: "data" at each of the places, and so many bytes. */
static int make_file(const off_t *places, size_t n, off_t size)
{
	char name[] = "/tmp/kiln-file-read.XXXXXX";
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	(void)unlink(name);
	assert_int_equal(ftruncate(fd, size), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(pwrite(fd, "data", 4, places[i]), 4);
	return fd;
}

static struct digest plain_digest(int fd, off_t from)
{
	struct buf b = BUF_INIT;
	struct digest d;

	assert_int_equal(lseek(fd, from, SEEK_SET), from);
	assert_int_equal(fs_read_fd(fd, &b), 0);
	d = digest_of(b.p, b.n);
	buf_release(&b);
	return d;
}

static void a_sparse_file_hashes_as_its_bytes_and_its_holes_are_not_read(void **state)
{
	static const off_t places[] = {5 * MIB + 17, 9 * MIB};
	static const struct {
		size_t first, n;
		off_t size;
	} files[] = {{0, 0, 0},
		     {0, 0, 3 * MIB + 1},
		     {0, 1, 6 * MIB},
		     {0, 2, 12 * MIB + 5},
		     {1, 1, 9 * MIB + 4}};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int fd = make_file(places + files[i].first, files[i].n, files[i].size);
		struct digest want = plain_digest(fd, 0), got;
		struct file_piece piece;
		struct file_read in;
		uint64_t size, data = 0;

		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		assert_int_equal(file_read_digest(fd, NULL, &got, &size), 0);
		assert_int_equal(size, files[i].size);
		assert_true(digest_equal(&want, &got));
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		file_read_init(&in, fd, NULL);
		while (file_read_next(&in, &piece) > 0)
			data += piece.hole ? 0 : piece.n;
		file_read_release(&in);
		assert_true(data <= (uint64_t)MIB);
		close(fd);
	}
}

static void reading_begins_at_the_position(void **state)
{
	static const off_t place = 5 * MIB;
	int fd = make_file(&place, 1, 8 * MIB);
	struct digest want = plain_digest(fd, 2 * MIB), got;

	(void)state;
	assert_int_equal(lseek(fd, 2 * MIB, SEEK_SET), 2 * MIB);
	assert_int_equal(file_read_digest(fd, NULL, &got, NULL), 0);
	assert_true(digest_equal(&want, &got));
	close(fd);
}

static void copies_keep_holes(void **state)
{
	static const off_t places[] = {0, 5 * MIB + 17};
	static const off_t sizes[] = {6 * MIB, 40 * MIB};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		int from = make_file(places, 2, sizes[i]), to = make_file(NULL, 0, 0);
		struct digest want = plain_digest(from, 0), got;
		struct stat st;

		assert_int_equal(lseek(from, 0, SEEK_SET), 0);
		assert_int_equal(file_copy(from, to, (uint64_t)sizes[i], NULL), 0);
		got = plain_digest(to, 0);
		assert_true(digest_equal(&want, &got));
		assert_int_equal(fstat(to, &st), 0);
		assert_int_equal(st.st_size, sizes[i]);
		assert_true(st.st_blocks * 512 <= MIB);
		close(from);
		close(to);
	}
}

static void a_part_is_copied_behind_what_is_there(void **state)
{
	static const off_t place = 2 * MIB;
	int from = make_file(&place, 1, 8 * MIB), to = make_file(NULL, 0, 0);
	char data[4];
	struct stat st;

	(void)state;
	assert_int_equal(write(to, "head", 4), 4);
	assert_int_equal(lseek(from, MIB, SEEK_SET), MIB);
	assert_int_equal(file_copy(from, to, 3 * MIB, NULL), 0);
	assert_int_equal(fstat(to, &st), 0);
	assert_int_equal(st.st_size, 3 * MIB + 4);
	assert_int_equal(pread(to, data, 4, MIB + 4), 4);
	assert_memory_equal(data, "data", 4);
	close(from);
	close(to);
}

static void a_set_switch_ends_it(void **state)
{
	int fd = make_file(NULL, 0, 8 * MIB), to = make_file(NULL, 0, 0);
	struct cancel cancel;
	struct digest d;

	(void)state;
	cancel_init(&cancel);
	cancel_set(&cancel);
	assert_int_equal(file_read_digest(fd, &cancel, &d, NULL), -ECANCELED);
	assert_int_equal(file_copy(fd, to, 8 * MIB, &cancel), -ECANCELED);
	cancel_release(&cancel);
	close(fd);
	close(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sparse_file_hashes_as_its_bytes_and_its_holes_are_not_read),
		cmocka_unit_test(reading_begins_at_the_position),
		cmocka_unit_test(copies_keep_holes),
		cmocka_unit_test(a_part_is_copied_behind_what_is_there),
		cmocka_unit_test(a_set_switch_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
