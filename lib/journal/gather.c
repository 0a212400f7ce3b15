/* Whether the next batch waits for those who have just been answered. */
#include "config.h"

#include "journal/gather.h"

#include "base/error.h"

#define WHOLE 256u
/* Half is what a steady stream shows. Between the two it stays as it is. */
#define SHARE_ON (WHOLE * 3 / 4)
#define SHARE_OFF (WHOLE * 3 / 5)

void og_gather_told(struct og_gather *g, uint32_t n, uint64_t put_us, uint64_t now_us)
{
	if (g->told) {
		uint64_t share = (uint64_t)OG_MIN(g->back, g->told) * WHOLE / g->told;

		g->share = (uint32_t)((3 * g->share + share) / 4);
		g->on = g->share >= (g->on ? SHARE_OFF : SHARE_ON);
	}
	g->told = n;
	g->back = 0;
	g->until_us = now_us + put_us / 2;
}

void og_gather_came(struct og_gather *g, uint64_t now_us)
{
	if (now_us < g->until_us)
		g->back++;
}

uint64_t og_gather_wait(const struct og_gather *g, uint64_t now_us)
{
	uint64_t usual = ((uint64_t)g->told * g->share + WHOLE - 1) / WHOLE;

	return g->on && now_us < g->until_us && g->back < usual ? g->until_us : 0;
}
