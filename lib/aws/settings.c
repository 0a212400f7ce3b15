/* The variables that lead to a store and to credentials. */
#include "config.h"

#include "aws/settings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define VALUE_MAX (64u * OG_KIB)

static int check_value(const char *name, const char *v, struct og_error *err)
{
	for (; *v; v++)
		if ((unsigned char)*v < 0x20 || *v == 0x7f)
			return og_error_set(err, OG_ERR_BAD, "%s holds a control character", name);
	return 0;
}

/* The first of the names that is set and not empty. */
static int load(char **out, const char *const *names, size_t n, og_aws_lookup lookup, void *arg, char *room, struct og_error *err)
{
	int rc;

	for (size_t i = 0; i < n && !*out; i++) {
		room[0] = '\0';
		rc = lookup(arg, names[i], room, VALUE_MAX, err);
		if (rc == OG_ERR_NOT_FOUND || (rc == 0 && !room[0]))
			continue;
		if (rc < 0 || (rc = check_value(names[i], room, err)) < 0)
			return rc;
		*out = strdup(room);
		if (!*out)
			return og_error_nomem(err);
	}
	if (err)
		og_error_clear(err);
	return 0;
}

int og_aws_settings_load(struct og_aws_settings *s, og_aws_lookup lookup, void *arg, struct og_error *err)
{
	char *room = malloc(VALUE_MAX);
	int rc = 0;

	memset(s, 0, sizeof(*s));
	if (!room)
		return og_error_nomem(err);
#define LOAD(member, ...) \
	if (rc == 0) { \
		static const char *const names[] = { __VA_ARGS__ }; \
		rc = load(&s->member, names, OG_COUNT(names), lookup, arg, room, err); \
	}
	OG_AWS_SETTINGS(LOAD)
#undef LOAD
	explicit_bzero(room, VALUE_MAX);
	free(room);
	if (rc < 0)
		og_aws_settings_fini(s);
	return rc;
}

static void wipe(char **v)
{
	if (*v)
		explicit_bzero(*v, strlen(*v));
	free(*v);
	*v = NULL;
}

void og_aws_settings_fini(struct og_aws_settings *s)
{
#define WIPE(member, ...) wipe(&s->member);
	OG_AWS_SETTINGS(WIPE)
#undef WIPE
}

const char *og_aws_http_proxy(const struct og_aws_settings *s)
{
	if (s->http_proxy)
		return s->http_proxy;
	return s->request_method ? NULL : s->http_proxy_upper;
}

bool og_aws_switch(const char *value)
{
	static const char *const on[] = { "1", "true", "TRUE", "True", "yes", "YES", "on", "ON" };

	for (size_t i = 0; value && i < OG_COUNT(on); i++)
		if (strcmp(value, on[i]) == 0)
			return true;
	return false;
}

int og_aws_bool(const char *name, const char *value, bool *out, struct og_error *err)
{
	static const char *const yes[] = { "1", "true", "on", "yes", "y" };
	static const char *const no[] = { "0", "false", "off", "no", "n" };

	*out = false;
	if (!value)
		return 0;
	for (size_t i = 0; i < OG_COUNT(yes); i++) {
		if (strcasecmp(value, yes[i]) == 0) {
			*out = true;
			return 0;
		}
		if (strcasecmp(value, no[i]) == 0)
			return 0;
	}
	return og_error_set(err, OG_ERR_BAD, "%s: '%s' is neither true nor false", name, value);
}
