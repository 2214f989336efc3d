/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/secrets/secret_salt.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/fs.h"

static const char key_file[] = "secret.key";

static int read_key(struct store *s, uint8_t key[DIGEST_SIZE], bool *ret_found, struct error **err)
{
	_cleanup_close_ int fd =
		openat(store_dirfd(s), key_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	*ret_found = false;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return error_new(err, ERR_IO, errno, "open the store's key for secrets");
	*ret_found = fs_read_full(fd, key, DIGEST_SIZE) == DIGEST_SIZE;
	return 0;
}

/* Of two processes that make the key at once the later one wins; the other's steps miss once. */
static int store_key(struct store *s, uint8_t key[DIGEST_SIZE], struct error **err)
{
	bool found;
	int r = read_key(s, key, &found, err);

	if (r < 0 || found)
		return r;
	if (getrandom(key, DIGEST_SIZE, 0) != DIGEST_SIZE)
		return error_new(err, ERR_IO, errno, "make a key for secrets");
	r = fs_write_file_atomic(store_dirfd(s), key_file, key, DIGEST_SIZE, 0600);
	if (r < 0)
		return error_new(err, ERR_IO, -r, "write the store's key for secrets");
	return read_key(s, key, &found, err);
}

static bool is_in_key(const struct grants *grants, const char *id)
{
	for (size_t i = 0; i < grants->secrets.n; i++)
		if (grants->secrets.v[i].in_key && strcmp(grants->secrets.v[i].id, id) == 0)
			return true;
	return false;
}

static int add_secret(const struct grants *grants, const char *id, const uint8_t *key,
		      struct hasher *h, struct error **err)
{
	_cleanup_buf_ struct buf value = BUF_INIT;
	uint8_t mac[DIGEST_SIZE];
	unsigned n = 0;
	bool found;
	int r = grants_read_secret(grants, id, &found, &value, err);

	if (r < 0)
		return r;
	if (!HMAC(EVP_sha256(), key, DIGEST_SIZE, (const unsigned char *)(value.p ? value.p : ""),
		  value.n, mac, &n))
		return error_new(err, ERR_INTERNAL, 0, "compute the key of secret %s", id);
	hasher_add_string(h, id);
	hasher_add_u64(h, found);
	hasher_add(h, mac, sizeof(mac));
	return 0;
}

/* The ids that the op uses and that count, in the op's order. */
static void used_ids(const struct grants *grants, const struct op_exec *op, struct strv *ret)
{
	for (size_t i = 0; i < op->n_mounts; i++)
		if (op->mounts[i].type == MOUNT_SECRET && is_in_key(grants, op->mounts[i].id))
			strv_push(ret, op->mounts[i].id);
	for (size_t i = 0; i < op->n_secret_envs; i++)
		if (is_in_key(grants, op->secret_envs[i].id))
			strv_push(ret, op->secret_envs[i].id);
}

int secret_salt(struct store *s, const struct grants *grants, const struct op_exec *op,
		bool *ret_salted, struct digest *ret, struct error **err)
{
	_cleanup_strv_ struct strv ids = {0};
	_cleanup_hasher_ struct hasher h = {0};
	uint8_t key[DIGEST_SIZE];
	int r;

	used_ids(grants, op, &ids);
	*ret_salted = ids.n > 0;
	if (ids.n == 0)
		return 0;
	r = store_key(s, key, err);
	hasher_init(&h);
	hasher_add_string(&h, "kiln secret salt 1");
	for (size_t i = 0; i < ids.n && r == 0; i++)
		r = add_secret(grants, ids.v[i], key, &h, err);
	OPENSSL_cleanse(key, sizeof(key));
	if (r == 0)
		hasher_final(&h, ret);
	return r;
}
