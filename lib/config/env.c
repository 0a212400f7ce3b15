/* auth.env_file: NAME=value lines into the environment. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/utf8.h"
#include "config/config.h"

#define ENV_FILE_MAX (1u * OG_MIB)

static struct og_slice trim(struct og_slice s)
{
	while (s.len && strchr(" \t\r\v\f", s.p[0]))
		s = og_slice(s.p + 1, s.len - 1);
	while (s.len && strchr(" \t\r\v\f", s.p[s.len - 1]))
		s.len--;
	return s;
}

/* One matching outer pair of quotes goes; no escapes, no trailing comments. */
static struct og_slice unquote(struct og_slice s)
{
	if (s.len >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.len - 1] == s.p[0])
		return og_slice(s.p + 1, s.len - 2);
	return s;
}

static int take_line(struct og_arena *a, struct og_slice line, struct og_error *err)
{
	const char *eq, *name, *value;
	struct og_slice n, v;
	int rc;

	line = trim(line);
	if (line.len == 0 || line.p[0] == '#' || memchr(line.p, 0, line.len))
		return 0;
	if (og_slice_starts(line, OG_SLICE("export ")))
		line = trim(og_slice(line.p + 7, line.len - 7));
	eq = memchr(line.p, '=', line.len);
	if (!eq)
		return 0;
	n = trim(og_slice(line.p, (size_t)(eq - line.p)));
	v = unquote(trim(og_slice(eq + 1, line.len - (size_t)(eq + 1 - line.p))));
	if (n.len == 0)
		return 0;
	name = og_arena_strndup(a, n.p, n.len);
	value = og_arena_strndup(a, v.p, v.len);
	if (!name || !value)
		return og_arena_error(a, err);
	/* Without overwriting, the first assignment of a name wins as well. */
	rc = setenv(name, value, 0) < 0 ? og_error_sys(err, errno, "%s", name) : 0;
	/* It may be a secret, which the environment alone shall hold: from there it can be taken. */
	explicit_bzero((char *)(uintptr_t)value, v.len);
	return rc;
}

int og_config_env(struct og_config *c, struct og_error *err)
{
	struct og_buf text = { 0 };
	struct og_slice rest;
	const char *path;
	int rc;

	if (!c->auth.env_file)
		return 0;
	path = og_config_path(c, c->auth.env_file);
	if (!path)
		return og_arena_error(&c->arena, err);
	rc = og_file_read(path, &text, ENV_FILE_MAX, err);
	if (rc == OG_ERR_NOT_FOUND) {
		og_error_clear(err);
		rc = 0;
	}
	rest = og_buf_view(&text);
	if (rc == 0 && og_utf8_check(rest) != rest.len)
		rc = og_error_set(err, OG_ERR_BAD, "%s: stream did not contain valid UTF-8", path);
	while (rc == 0 && rest.len) {
		const char *lf = memchr(rest.p, '\n', rest.len);
		size_t n = lf ? (size_t)(lf - rest.p) : rest.len;

		rc = take_line(&c->arena, og_slice(rest.p, n), err);
		n += lf != NULL;
		rest = og_slice(rest.p + n, rest.len - n);
	}
	if (text.data)
		explicit_bzero(text.data, text.cap);
	og_buf_fini(&text);
	return rc;
}
