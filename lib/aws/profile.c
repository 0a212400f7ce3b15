/* The shared files of AWS tools. */
#include "config.h"

#include "aws/profile.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/log.h"

#define FILE_MAX_BYTES (4u * OG_MIB)

static char *trim(char *s)
{
	char *end;

	s += strspn(s, " \t\r");
	end = s + strlen(s);
	while (end > s && strchr(" \t\r", end[-1]))
		*--end = '\0';
	return s;
}

static int add(struct og_aws_profiles *p, const char *profile, const char *key, const char *value, struct og_error *err)
{
	struct og_aws_profile_entry *v;

	if (p->n == p->cap) {
		v = reallocarray(p->v, p->cap ? p->cap * 2 : 32, sizeof(*v));
		if (!v)
			return og_error_nomem(err);
		p->v = v;
		p->cap = p->cap ? p->cap * 2 : 32;
	}
	p->v[p->n++] = (struct og_aws_profile_entry){ profile, key, value };
	return 0;
}

/* "[NAME]", in the config file "[profile NAME]" for all but the default. NULL: a section of another kind. */
static const char *section(char *line, bool config)
{
	char *end = strchr(line, ']');

	if (!end)
		return NULL;
	*end = '\0';
	line = trim(line + 1);
	if (!config || strcmp(line, "default") == 0)
		return line;
	if (strncmp(line, "profile", 7) != 0 || (line[7] != ' ' && line[7] != '\t'))
		return NULL;
	return trim(line + 7);
}

static int read_line(struct og_aws_profiles *p, char *line, bool config, const char **profile, struct og_error *err)
{
	bool nested = *line == ' ' || *line == '\t';
	char *eq, *key, *value, *comment;

	line = trim(line);
	if (!*line || *line == '#' || *line == ';')
		return 0;
	if (*line == '[') {
		*profile = section(line, config);
		/* Known even when it says nothing. */
		return *profile ? add(p, *profile, "", "", err) : 0;
	}
	eq = strchr(line, '=');
	if (!eq || !*profile || nested)
		return 0;
	*eq = '\0';
	key = trim(line);
	value = trim(eq + 1);
	comment = strstr(value, " #");
	if (comment)
		*comment = '\0';
	value = trim(value);
	for (char *c = key; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return add(p, *profile, key, value, err);
}

static int read_file(struct og_aws_profiles *p, const char *path, bool config, struct og_error *err)
{
	struct og_buf *b = &p->text[config ? 0 : 1];
	const char *profile = NULL;
	struct og_log_quoted q;
	char *line, *next;
	int rc;

	if (!path)
		return 0;
	rc = og_file_read(path, b, FILE_MAX_BYTES, err);
	if (rc == OG_ERR_NOT_FOUND || (rc < 0 && err->sys == EACCES)) {
		if (rc != OG_ERR_NOT_FOUND)
			og_log(OG_LOG_INFO, "aws.files", "error=%s", og_log_quote(&q, err->message));
		og_error_clear(err);
		return 0;
	}
	for (line = b->data; rc == 0 && line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		else
			next = line + strlen(line);
		rc = read_line(p, line, config, &profile, err);
	}
	return rc;
}

int og_aws_profiles_read(struct og_aws_profiles *p, const char *config_path, const char *credentials_path, struct og_error *err)
{
	int rc = read_file(p, credentials_path, false, err);

	if (rc == 0)
		rc = read_file(p, config_path, true, err);
	if (rc < 0)
		og_aws_profiles_fini(p);
	return rc;
}

void og_aws_profiles_fini(struct og_aws_profiles *p)
{
	for (int i = 0; i < 2; i++) {
		if (p->text[i].data)
			explicit_bzero(p->text[i].data, p->text[i].cap);
		og_buf_fini(&p->text[i]);
	}
	free(p->v);
	*p = (struct og_aws_profiles){ 0 };
}

bool og_aws_profile_known(const struct og_aws_profiles *p, const char *profile)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->v[i].profile, profile) == 0)
			return true;
	return false;
}

const char *og_aws_profile_get(const struct og_aws_profiles *p, const char *profile, const char *key)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->v[i].profile, profile) == 0 && strcmp(p->v[i].key, key) == 0 && *p->v[i].value)
			return p->v[i].value;
	return NULL;
}

const char *og_aws_profile_with(const struct og_aws_profiles *p, const char *profile, const char *prefix)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->v[i].profile, profile) == 0 && strncmp(p->v[i].key, prefix, strlen(prefix)) == 0 && *p->v[i].value)
			return p->v[i].key;
	return NULL;
}
