/* Asks the admin socket: adminask SOCKET VERB. Prints the reply's JSON. */
#include "config.h"

#include <stdio.h>

#include "ipc/admin.h"

int main(int argc, char **argv)
{
	struct og_admin_addr a;
	struct og_error err = { 0 };
	struct og_buf reply = { 0 };

	if (argc != 3)
		return 2;
	if (og_admin_addr(argv[1], &a, &err) < 0 || og_admin_call(&a, argv[2], NULL, 0, 5000, &reply, &err) < 0) {
		fprintf(stderr, "Error: %s\n", err.message);
		return 1;
	}
	printf("%s\n", reply.data);
	og_buf_fini(&reply);
	return 0;
}
