/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/stream/tar_write.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file_read.h"
#include "base/fs.h"
#include "base/path.h"

#define BLOCK 512
#define NAME_SIZE 100
#define PREFIX_SIZE 155
#define COPY_SIZE (256 * 1024)

/* Offsets and sizes of the USTAR header's fields. */
enum {
	AT_NAME = 0,
	AT_MODE = 100,
	AT_UID = 108,
	AT_GID = 116,
	AT_SIZE = 124,
	AT_MTIME = 136,
	AT_CHECKSUM = 148,
	AT_TYPE = 156,
	AT_LINK = 157,
	AT_MAGIC = 257,
	AT_DEV_MAJOR = 329,
	AT_DEV_MINOR = 337,
	AT_PREFIX = 345,
	ID_SIZE = 8,
	NUMBER_SIZE = 12,
};

static bool is_ascii(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s >= 0x80)
			return false;
	return true;
}

/* Go writes numbers with a NUL at the end, so one digit less than the field holds. */
static bool fits_octal(uint64_t value, unsigned field)
{
	unsigned bits = (field - 1) * 3;

	return bits >= 64 || value >> bits == 0;
}

static void put_octal(char *field, unsigned size, uint64_t value)
{
	/* A number that does not fit is in a PAX record, and the field says 0. */
	if (!fits_octal(value, size))
		value = 0;
	for (unsigned i = size - 1; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
	field[size - 1] = '\0';
}

static void put_string(char *field, size_t size, const char *s)
{
	size_t n = strlen(s);

	memcpy(field, s, n < size ? n : size);
	/* A cut name that happens to end with a slash would make old readers see a directory. */
	if (n > size && field[size - 1] == '/') {
		size_t end = size - 1;

		while (end > 0 && s[end - 1] == '/')
			end--;
		field[end] = '\0';
	}
}

static char *ascii_only(const char *s)
{
	struct buf b = BUF_INIT;

	for (; *s; s++)
		if ((unsigned char)*s < 0x80)
			buf_addc(&b, *s);
	return buf_take(&b);
}

/* USTAR can hold a name of up to 256 bytes if it can be cut at a slash. Returns the slash's
 * place. */
static bool split_name(const char *name, size_t *ret_slash)
{
	size_t n = strlen(name), length = n, i;

	if (n <= NAME_SIZE || !is_ascii(name))
		return false;
	if (length > PREFIX_SIZE + 1)
		length = PREFIX_SIZE + 1;
	else if (name[length - 1] == '/')
		length--;
	for (i = length; i > 0 && name[i - 1] != '/'; i--)
		;
	if (i <= 1)
		return false;
	i--;
	if (n - i - 1 > NAME_SIZE || n - i - 1 == 0 || i > PREFIX_SIZE)
		return false;
	*ret_slash = i;
	return true;
}

static void seal(char *block)
{
	unsigned sum = 0;

	memcpy(block + AT_MAGIC,
	       "ustar\0"
	       "00",
	       8);
	memset(block + AT_CHECKSUM, ' ', 8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += (unsigned char)block[i];
	put_octal(block + AT_CHECKSUM, 7, sum);
}

static void put_numbers(char *block, const struct tar_header *h, uint64_t size)
{
	put_octal(block + AT_MODE, ID_SIZE, h->mode);
	put_octal(block + AT_UID, ID_SIZE, h->uid);
	put_octal(block + AT_GID, ID_SIZE, h->gid);
	put_octal(block + AT_SIZE, NUMBER_SIZE, size);
	put_octal(block + AT_MTIME, NUMBER_SIZE, h->mtime < 0 ? 0 : (uint64_t)h->mtime);
	put_octal(block + AT_DEV_MAJOR, ID_SIZE, h->dev_major);
	put_octal(block + AT_DEV_MINOR, ID_SIZE, h->dev_minor);
}

/* "LEN KEY=VALUE\n", where LEN counts itself. */
static void add_record(struct buf *b, const char *key, const void *value, size_t n)
{
	size_t body = strlen(key) + n + 3, size = body, digits = 0;

	while (digits != (size_t)snprintf(NULL, 0, "%zu", size)) {
		digits = (size_t)snprintf(NULL, 0, "%zu", size);
		size = body + digits;
	}
	buf_addf(b, "%zu %s=", size, key);
	buf_add(b, value, n);
	buf_addc(b, '\n');
}

static void add_number_record(struct buf *b, const char *key, int64_t value)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%lld", (long long)value);

	add_record(b, key, text, (size_t)n);
}

/* The records a header needs, in the order of their keys. Sets *ret_ustar if it needs none and its
 * name fits, perhaps in two parts. */
static void collect_records(const struct tar_header *h, uint64_t size, struct buf *b,
			    bool *ret_ustar)
{
	const char *link = h->link ? h->link : "";
	bool odd_name = !is_ascii(h->name) || strlen(h->name) > NAME_SIZE;
	size_t slash;

	if (h->capability_size > 0)
		add_record(b, "SCHILY.xattr.security.capability", h->capability,
			   h->capability_size);
	if (!fits_octal(h->gid, ID_SIZE))
		add_number_record(b, "gid", h->gid);
	if (!is_ascii(link) || strlen(link) > NAME_SIZE)
		add_record(b, "linkpath", link, strlen(link));
	if (h->mtime < 0 || !fits_octal((uint64_t)h->mtime, NUMBER_SIZE))
		add_number_record(b, "mtime", h->mtime);
	*ret_ustar = b->n == 0 && fits_octal(size, NUMBER_SIZE) && fits_octal(h->uid, ID_SIZE) &&
		     (!odd_name || split_name(h->name, &slash));
	if (odd_name)
		add_record(b, "path", h->name, strlen(h->name));
	if (!fits_octal(size, NUMBER_SIZE))
		add_number_record(b, "size", (int64_t)size);
	if (!fits_octal(h->uid, ID_SIZE))
		add_number_record(b, "uid", h->uid);
}

static int emit(struct tar_writer *w, const void *p, size_t n, struct error **err)
{
	return n > 0 ? w->sink(w->data, p, n, err) : 0;
}

static int flush(struct tar_writer *w, struct error **err)
{
	static const char zeros[BLOCK];
	unsigned pad = w->pad;

	if (w->left > 0)
		return error_new(err, ERR_INTERNAL, 0, "tar: %llu bytes of a file are missing",
				 (unsigned long long)w->left);
	w->pad = 0;
	return emit(w, zeros, pad, err);
}

static void expect(struct tar_writer *w, uint64_t size)
{
	w->left = size;
	w->pad = (unsigned)((BLOCK - size % BLOCK) % BLOCK);
}

/* The extended header is a file of its own beside the name: "dir/PaxHeaders.0/base". */
static int write_records(struct tar_writer *w, const char *real_name, const struct buf *records,
			 struct error **err)
{
	const char *base = path_base(real_name);
	_cleanup_free_ char *dir = xstrndup(real_name, (size_t)(base - real_name));
	_cleanup_free_ char *sub = path_join(dir, "PaxHeaders.0");
	_cleanup_free_ char *joined = path_join(sub, base);
	_cleanup_free_ char *name = ascii_only(joined);
	struct tar_header h = {.type = TAR_FILE};
	char block[BLOCK] = {0};
	size_t n = strlen(name);
	int r;

	if (n > NAME_SIZE)
		name[n = NAME_SIZE] = '\0';
	while (n > 0 && name[n - 1] == '/')
		name[--n] = '\0';
	put_string(block + AT_NAME, NAME_SIZE, name);
	put_numbers(block, &h, records->n);
	/* Go leaves the device fields of this header empty. */
	memset(block + AT_DEV_MAJOR, 0, 2 * ID_SIZE);
	block[AT_TYPE] = 'x';
	seal(block);
	r = emit(w, block, BLOCK, err);
	if (r < 0)
		return r;
	expect(w, records->n);
	r = tar_write_data(w, records->p, records->n, err);
	if (r < 0)
		return r;
	return flush(w, err);
}

void tar_writer_init(struct tar_writer *w, tar_sink_fn sink, void *data)
{
	*w = (struct tar_writer){.sink = sink, .data = data};
}

int tar_write_header(struct tar_writer *w, const struct tar_header *h, struct error **err)
{
	_cleanup_buf_ struct buf records = BUF_INIT;
	_cleanup_free_ char *name = NULL, *link = NULL, *prefix = NULL;
	uint64_t size = h->type == TAR_FILE ? h->size : 0;
	char block[BLOCK] = {0};
	size_t slash = 0;
	bool ustar;
	int r;

	r = flush(w, err);
	if (r < 0)
		return r;
	collect_records(h, size, &records, &ustar);
	if (ustar && split_name(h->name, &slash)) {
		prefix = xstrndup(h->name, slash);
		name = xstrdup(h->name + slash + 1);
	} else {
		name = ascii_only(h->name);
	}
	if (!ustar && records.n > 0) {
		r = write_records(w, h->name, &records, err);
		if (r < 0)
			return r;
	}
	link = ascii_only(h->link ? h->link : "");
	put_string(block + AT_NAME, NAME_SIZE, name);
	put_string(block + AT_LINK, NAME_SIZE, link);
	put_numbers(block, h, size);
	block[AT_TYPE] = (char)h->type;
	if (prefix)
		put_string(block + AT_PREFIX, PREFIX_SIZE, prefix);
	seal(block);
	r = emit(w, block, BLOCK, err);
	if (r < 0)
		return r;
	expect(w, size);
	return 0;
}

int tar_write_data(struct tar_writer *w, const void *p, size_t n, struct error **err)
{
	if (n > w->left)
		return error_new(err, ERR_INTERNAL, 0, "tar: more bytes than the header says");
	w->left -= n;
	return emit(w, p, n, err);
}

void tar_write_elsewhere(struct tar_writer *w, size_t n)
{
	w->left -= n;
}

int tar_write_pad(struct tar_writer *w, struct error **err)
{
	return flush(w, err);
}

static int write_piece(struct tar_writer *w, const struct file_piece *piece, struct error **err)
{
	return tar_write_data(w, piece->p, piece->n < w->left ? piece->n : (size_t)w->left, err);
}

int tar_write_fd(struct tar_writer *w, int fd, const char *name, const struct cancel *cancel,
		 struct error **err)
{
	struct file_piece piece;
	struct file_read in;
	int got = 1, r = 0;

	file_read_init(&in, fd, cancel);
	while (r == 0 && w->left > 0 && (got = file_read_next(&in, &piece)) > 0)
		r = write_piece(w, &piece, err);
	file_read_release(&in);
	if (got < 0)
		return error_new(err, ERR_IO, -got, "read '%s'", name);
	if (got == 0)
		return error_new(err, ERR_CORRUPT, 0, "'%s' is %llu bytes shorter than recorded",
				 name, (unsigned long long)w->left);
	return r;
}

int tar_write_end(struct tar_writer *w, struct error **err)
{
	static const char zeros[2 * BLOCK];
	int r = flush(w, err);

	return r < 0 ? r : emit(w, zeros, sizeof(zeros), err);
}
