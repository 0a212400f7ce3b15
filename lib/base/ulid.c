/* ULIDs. */
#include "config.h"

#include "base/ulid.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#define TIME_BYTES 6
#define RANDOM_BYTES 10
#define MS_MAX ((UINT64_C(1) << 48) - 1)

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static int draw(struct og_ulid_gen *g, uint8_t out[RANDOM_BYTES], struct og_error *err)
{
	size_t have = 0;

	if (g->left == 0) {
		while (have < sizeof(g->pool)) {
			ssize_t n = getrandom(g->pool + have, sizeof(g->pool) - have, 0);
			int e = errno;

			if (n < 0 && e != EINTR)
				return og_error_sys(err, e, "random bytes");
			if (n > 0)
				have += (size_t)n;
		}
		g->left = sizeof(g->pool) / RANDOM_BYTES;
	}
	g->left--;
	memcpy(out, g->pool + g->left * RANDOM_BYTES, RANDOM_BYTES);
	return 0;
}

struct og_ulid og_ulid_at(uint64_t ms)
{
	struct og_ulid u = { { 0 } };

	ms = OG_MIN(ms, MS_MAX);
	for (int i = 0; i < TIME_BYTES; i++)
		u.b[i] = (uint8_t)(ms >> (8 * (TIME_BYTES - 1 - i)));
	return u;
}

uint64_t og_ulid_ms(const struct og_ulid *u)
{
	uint64_t ms = 0;

	for (int i = 0; i < TIME_BYTES; i++)
		ms = ms << 8 | u->b[i];
	return ms;
}

/* false: all random bits were ones. */
static bool increment(struct og_ulid *u)
{
	for (int i = TIME_BYTES + RANDOM_BYTES - 1; i >= TIME_BYTES; i--)
		if (++u->b[i])
			return true;
	return false;
}

int og_ulid_new(struct og_ulid_gen *g, struct og_ulid *out, struct og_error *err)
{
	struct timespec ts;
	struct og_ulid u;
	uint64_t ms;
	int rc;

	clock_gettime(CLOCK_REALTIME, &ts);
	ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	/* A clock set back must not make ids that sort before earlier ones. */
	if (ms <= g->last_ms) {
		u = g->last;
		if (increment(&u))
			goto done;
		ms = g->last_ms + 1;
	}
	u = og_ulid_at(ms);
	if ((rc = draw(g, u.b + TIME_BYTES, err)) < 0)
		return rc;
	g->last_ms = ms;
done:
	g->last = u;
	*out = u;
	return 0;
}

int og_ulid_next(struct og_ulid_gen *g, struct og_ulid *out, struct og_error *err)
{
	struct og_ulid u = g->last;

	if (!g->last_ms || !increment(&u))
		return og_ulid_new(g, out, err);
	g->last = u;
	*out = u;
	return 0;
}

struct og_ulid_text og_ulid_format(const struct og_ulid *u)
{
	struct og_ulid_text t;
	uint64_t hi = 0, lo = 0;

	for (int i = 0; i < 8; i++) {
		hi = hi << 8 | u->b[i];
		lo = lo << 8 | u->b[8 + i];
	}
	for (int i = OG_ULID_CHARS - 1; i >= 0; i--) {
		t.s[i] = alphabet[lo & 31];
		lo = lo >> 5 | hi << 59;
		hi >>= 5;
	}
	t.s[OG_ULID_CHARS] = '\0';
	return t;
}

bool og_ulid_parse(struct og_slice s, struct og_ulid *out)
{
	uint64_t hi = 0, lo = 0;

	/* 26 characters hold 130 bits: the first one has 3. */
	if (s.len != OG_ULID_CHARS || s.p[0] > '7')
		return false;
	for (size_t i = 0; i < OG_ULID_CHARS; i++) {
		const char *at = s.p[i] ? strchr(alphabet, s.p[i]) : NULL;

		if (!at)
			return false;
		hi = hi << 5 | lo >> 59;
		lo = lo << 5 | (uint64_t)(at - alphabet);
	}
	for (int i = 7; i >= 0; i--) {
		out->b[i] = (uint8_t)hi;
		out->b[8 + i] = (uint8_t)lo;
		hi >>= 8;
		lo >>= 8;
	}
	return true;
}
