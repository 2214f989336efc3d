/* SPDX-License-Identifier: Apache-2.0 */
/* Where the program begins: what has to be right before any command runs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cli/session.h"
#include "cmd/commands.h"

/* Started with a standard stream closed, the first file that is opened would become that stream,
 * and what is printed would end up in it. */
static void open_standard_streams(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_WRONLY : O_RDONLY) != fd)
			abort();
}

/* A result that could not be written is a failure; a reader that has seen enough is not. */
static int finish_output(int status)
{
	bool failed = ferror(stdout) != 0;

	errno = 0;
	if (fflush(stdout) == 0 && !failed)
		return status;
	if (errno == EPIPE || status != 0)
		return status;
	fprintf(stderr, "ERROR: write to standard output%s%s\n", errno ? ": " : "",
		errno ? strerror(errno) : "");
	return EXIT_FAILED;
}

int main(int argc, char **argv)
{
	open_standard_streams();
	return finish_output(kiln_main(argc, argv));
}
