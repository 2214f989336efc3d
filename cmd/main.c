#include "cmd/commands.h"

int main(int argc, char **argv)
{
	return kiln_main(argc, argv);
}
