/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over the files of the folders (or files) named on the command line, so that a
 * corpus is a regression test where libFuzzer is not linked. Options (-runs=0) are ignored. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t run_file(const char *path)
{
	FILE *f = fopen(path, "re");
	uint8_t *data = NULL;
	size_t size = 0, cap = 0, n;

	if (!f)
		return 0;
	do {
		if (size == cap) {
			cap = cap ? cap * 2 : 4096;
			data = realloc(data, cap);
			if (!data)
				abort();
		}
		n = fread(data + size, 1, cap - size, f);
		size += n;
	} while (n > 0);
	fclose(f);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 1;
}

static size_t run_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *de;
	size_t count = 0;
	char file[4096];

	if (!dir)
		return run_file(path);
	while ((de = readdir(dir))) {
		if (de->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, de->d_name);
		count += run_file(file);
	}
	closedir(dir);
	return count;
}

int main(int argc, char **argv)
{
	size_t count = 0;

	for (int i = 1; i < argc; i++)
		if (argv[i][0] != '-')
			count += run_dir(argv[i]);
	printf("%zu inputs\n", count);
	return count > 0 ? 0 : 1;
}
