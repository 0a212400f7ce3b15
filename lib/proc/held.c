/* Names of the protections. */
#include "config.h"

#include "proc/held.h"

const char *og_held_name(unsigned bit)
{
	switch (bit) {
#define NAME(name, nr, text) \
	case nr:             \
		return text;
		OG_PROC_HELD(NAME)
#undef NAME
	}
	return NULL;
}

void og_held_list(uint32_t held, struct og_buf *b)
{
	const char *sep = "";

	for (unsigned bit = 0; bit < 32; bit++) {
		if (!(held & (1u << bit)) || !og_held_name(bit))
			continue;
		og_buf_str(b, sep);
		og_buf_str(b, og_held_name(bit));
		sep = ",";
	}
}
