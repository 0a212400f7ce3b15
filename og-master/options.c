/* The command line and the variables of omnigraph-server. */
#include "config.h"

#include "og-master/options.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/num.h"
#include "base/slice.h"

const char options_usage[] =
	"Usage: omnigraph-server [OPTIONS] [URI]\n"
	"\n"
	"Arguments:\n"
	"  [URI]  Graph to serve: a local path, file://... or s3://bucket/prefix\n"
	"\n"
	"Options:\n"
	"      --target <NAME>             Serve graphs.NAME of the config file\n"
	"      --config <FILE>             Config file [default: ./omnigraph.yaml if present]\n"
	"      --cluster <DIR|URI>         Serve the applied revision of a cluster; exclusive\n"
	"      --bind <HOST:PORT>          Listen address [default: 127.0.0.1:8080]\n"
	"      --unauthenticated           Serve without tokens and policy\n"
	"      --allow-degraded            With --cluster: leave out graphs that cannot be served\n"
	"      --require-all-graphs        With --cluster: refuse to start unless every graph is ready (the default)\n"
	"      --follow                    With --cluster: reload when the applied revision has moved\n"
	"      --workers <N>               Worker processes [default: by the machine]\n"
	"      --header-timeout <SECONDS>  For the headers of a request [default: 30]\n"
	"      --body-timeout <SECONDS>    Between two bytes of a body [default: 60]\n"
	"      --idle-timeout <SECONDS>    For an idle connection [default: 75]\n"
	"      --query-timeout <SECONDS>   For one query [default: 60]\n"
	"      --query-memory <BYTES>      For one query; K, M, G and T are understood [default: 1G]\n"
	"      --image-memory <BYTES>      For the graph in memory, of all processes; K, M, G and T are understood [default: half of the memory]\n"
	"      --drain-timeout <SECONDS>   For running requests when the server stops [default: 30]\n"
	"      --stuck-timeout <SECONDS>   Before a process that stands still is replaced [default: 30]\n"
	"      --cache-dir <DIR>           What was fetched from S3 is kept here [default: /var/cache/omnigraph or ~/.cache/omnigraph]\n"
	"      --cache-bytes <BYTES>       So much of it; K, M, G and T are understood; 0: none [default: 10G, at most half of the free space]\n"
	"      --max-staleness-ms <MS>     How old a look for other hosts' commits may be for a read [default: 0]\n"
	"      --poll-ms <MS>              Between two looks for other hosts' commits [default: 1000]\n"
	"      --idle-ms <MS>              Without a commit, before images are made for the next start; 0: never [default: 30000]\n"
	"      --admin-socket <PATH>       Where og-cli status and others reach this server [default: by the system]\n"
	"      --log-format <FORMAT>       text or json [default: text]\n"
	"      --libexec-dir <DIR>         Where og-storaged and og-worker are [default: by the installation]\n"
	"  -h, --help                      Print help\n"
	"  -V, --version                   Print version\n";

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_NUMBER, OPTION_SIZE };

struct option_row {
	const char *name; /* without the dashes */
	const char *env;  /* NULL: none */
	enum option_kind kind;
	size_t offset; /* in struct options */
	uint64_t otherwise, min, max;
};

#define AT(field) offsetof(struct options, field)
#define FLAG(name, env, field) { name, env, OPTION_FLAG, AT(field), 0, 0, 0 }
#define TEXT(name, env, field) { name, env, OPTION_TEXT, AT(field), 0, 0, 0 }
#define NUMBER(name, env, field, otherwise, min, max) { name, env, OPTION_NUMBER, AT(field), otherwise, min, max }
#define SIZE(name, env, field, otherwise, min) { name, env, OPTION_SIZE, AT(field), otherwise, min, INT64_MAX }
#define DAY 86400u
#define IMAGE_MEMORY_MIN 1048576u	/* below, nothing of a graph would fit */

static const struct option_row option_rows[] = {
	TEXT("target", NULL, target),
	TEXT("config", NULL, config),
	TEXT("cluster", NULL, cluster),
	TEXT("bind", NULL, bind),
	FLAG("unauthenticated", "OMNIGRAPH_UNAUTHENTICATED", unauthenticated),
	FLAG("allow-degraded", "OMNIGRAPH_ALLOW_DEGRADED", allow_degraded),
	FLAG("require-all-graphs", "OMNIGRAPH_REQUIRE_ALL_GRAPHS", require_all_graphs),
	FLAG("follow", NULL, follow),
	NUMBER("header-timeout", "OMNIGRAPH_HEADER_TIMEOUT", header_timeout, 30, 1, DAY),
	NUMBER("body-timeout", "OMNIGRAPH_BODY_TIMEOUT", body_timeout, 60, 1, DAY),
	NUMBER("idle-timeout", "OMNIGRAPH_IDLE_TIMEOUT", idle_timeout, 75, 1, DAY),
	NUMBER("query-timeout", "OMNIGRAPH_QUERY_TIMEOUT", query_timeout, 60, 1, DAY),
	SIZE("query-memory", "OMNIGRAPH_QUERY_MEMORY", query_memory, 1073741824, 1),
	SIZE("image-memory", "OMNIGRAPH_IMAGE_MEMORY", image_memory, 0, IMAGE_MEMORY_MIN),
	NUMBER("drain-timeout", NULL, drain_timeout, 30, 0, DAY),
	NUMBER("stuck-timeout", NULL, stuck_timeout, 30, 3, DAY),
	NUMBER("workers", "OMNIGRAPH_WORKERS", workers, 0, 1, 128),
	TEXT("cache-dir", "OMNIGRAPH_CACHE_DIR", cache_dir),
	SIZE("cache-bytes", "OMNIGRAPH_CACHE_BYTES", cache_bytes, UINT64_MAX, 0),
	NUMBER("max-staleness-ms", "OMNIGRAPH_MAX_STALENESS_MS", max_staleness_ms, 0, 0, UINT32_MAX),
	NUMBER("poll-ms", "OMNIGRAPH_POLL_MS", poll_ms, 1000, 1, UINT32_MAX),
	NUMBER("idle-ms", "OMNIGRAPH_IDLE_MS", idle_ms, 30000, 0, UINT32_MAX),
	TEXT("admin-socket", NULL, admin_socket),
	TEXT("log-format", NULL, log_format),
	TEXT("libexec-dir", NULL, libexec_dir),
};

_Static_assert(OG_COUNT(option_rows) <= 32, "a bit of `given` each");

/* Variables without a flag. */
static const struct option_row variable_rows[] = {
	NUMBER(NULL, "OMNIGRAPH_PER_ACTOR_INFLIGHT_MAX", inflight_max, 16, 0, UINT32_MAX),
	NUMBER(NULL, "OMNIGRAPH_PER_ACTOR_BYTES_MAX", bytes_max, 4294967296, 0, UINT64_MAX),
};

static void *field(struct options *o, const struct option_row *row)
{
	return (char *)o + row->offset;
}

static bool parse_number(const struct option_row *row, const char *text, uint64_t *out)
{
	bool size = row->kind == OPTION_SIZE;
	uint64_t v;

	if (text[0] == '-' || text[0] == '+' || !(size ? og_parse_size : og_parse_u64)(og_slice_str(text), &v) || v < row->min || v > row->max)
		return false;
	*out = v;
	return true;
}

/* --- command line ---------------------------------------------------------------------------------- */

struct parser {
	struct options *o;
	struct og_error *err;
};

static enum options_end wrong(struct parser *p, const char *what, const char *arg)
{
	og_error_set(p->err, OG_ERR_BAD, "%s '%s'", what, arg);
	return OPTIONS_WRONG;
}

static enum options_end take_value(struct parser *p, const struct option_row *row, const char *arg, const char *value)
{
	uint64_t v;

	switch (row->kind) {
	case OPTION_FLAG:
		if (value)
			return wrong(p, "no value is expected for", arg);
		*(bool *)field(p->o, row) = true;
		return OPTIONS_RUN;
	case OPTION_TEXT:
		if (!value || !value[0])
			return wrong(p, "a value is required for", arg);
		*(const char **)field(p->o, row) = value;
		return OPTIONS_RUN;
	case OPTION_NUMBER:
	case OPTION_SIZE:
		if (!value || !value[0])
			return wrong(p, "a value is required for", arg);
		if (parse_number(row, value, field(p->o, row)))
			return OPTIONS_RUN;
		if (row->min > 1 && og_parse_size(og_slice_str(value), &v) && v < row->min)
			og_error_set(p->err, OG_ERR_BAD, "invalid value '%s' for '--%s': at least %llu", value, row->name, (unsigned long long)row->min);
		else
			og_error_set(p->err, OG_ERR_BAD, "invalid value '%s' for '--%s'", value, row->name);
		return OPTIONS_WRONG;
	}
	return OPTIONS_RUN;
}

/* `arg` begins with two dashes. *used: the next argument is its value. */
static enum options_end take_option(struct parser *p, const char *arg, const char *next, bool *used)
{
	const char *name = arg + 2, *eq = strchr(name, '=');
	size_t n = eq ? (size_t)(eq - name) : strlen(name);

	for (size_t i = 0; i < OG_COUNT(option_rows); i++) {
		const struct option_row *row = &option_rows[i];
		const char *value = eq ? eq + 1 : NULL;

		if (strlen(row->name) != n || memcmp(row->name, name, n) != 0)
			continue;
		if (p->o->given & (1u << i))
			return wrong(p, "used more than once:", arg);
		p->o->given |= 1u << i;
		if (!value && row->kind != OPTION_FLAG) {
			/* What looks like an option is none's value. */
			if (next && next[0] == '-' && next[1])
				next = NULL;
			value = next;
			*used = next != NULL;
		}
		return take_value(p, row, arg, value);
	}
	return wrong(p, "unexpected argument", arg);
}

static enum options_end take_uri(struct parser *p, const char *arg)
{
	if (p->o->uri || !arg[0])
		return wrong(p, "unexpected argument", arg);
	p->o->uri = arg;
	return OPTIONS_RUN;
}

enum options_end options_parse(int argc, char **argv, struct options *o, struct og_error *err)
{
	struct parser p = { .o = o, .err = err };
	bool only_positional = false;

	memset(o, 0, sizeof(*o));
	for (size_t i = 0; i < OG_COUNT(option_rows); i++)
		if (option_rows[i].kind == OPTION_NUMBER || option_rows[i].kind == OPTION_SIZE)
			*(uint64_t *)field(o, &option_rows[i]) = option_rows[i].otherwise;
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];
		enum options_end end;
		bool used = false;

		if (only_positional || arg[0] != '-') {
			end = take_uri(&p, arg);
		} else if (strcmp(arg, "--") == 0) {
			only_positional = true;
			end = OPTIONS_RUN;
		} else if (strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0) {
			return OPTIONS_HELP;
		} else if (strcmp(arg, "-V") == 0 || strcmp(arg, "--version") == 0) {
			return OPTIONS_VERSION;
		} else if (arg[1] == '-') {
			end = take_option(&p, arg, i + 1 < argc ? argv[i + 1] : NULL, &used);
		} else {
			end = wrong(&p, "unexpected argument", arg);
		}
		if (end != OPTIONS_RUN)
			return end;
		i += used;
	}
	if (o->log_format && strcmp(o->log_format, "text") != 0 && strcmp(o->log_format, "json") != 0)
		return wrong(&p, "invalid value for '--log-format':", o->log_format);
	return OPTIONS_RUN;
}

/* --- environment ----------------------------------------------------------------------------------- */

static struct og_slice trimmed(const char *s)
{
	size_t n;

	while (*s && isspace((unsigned char)*s))
		s++;
	n = strlen(s);
	while (n && isspace((unsigned char)s[n - 1]))
		n--;
	return og_slice(s, n);
}

bool options_truthy(const char *value)
{
	struct og_slice s;

	if (!value)
		return false;
	s = trimmed(value);
	return s.len && !og_slice_is(s, "0") && !(s.len == 5 && strncasecmp(s.p, "false", 5) == 0);
}

const char *options_env(const char *name)
{
	const char *v = getenv(name);

	return v && trimmed(v).len ? v : NULL;
}

static void from_env(struct options *o, const struct option_row *row)
{
	const char *text = row->env ? options_env(row->env) : NULL;
	struct og_log_quoted q;

	if (!text)
		return;
	switch (row->kind) {
	case OPTION_FLAG:
		if (options_truthy(text))
			*(bool *)field(o, row) = true;
		return;
	case OPTION_TEXT:
		*(const char **)field(o, row) = text;
		return;
	case OPTION_NUMBER:
	case OPTION_SIZE:
		if (!parse_number(row, text, field(o, row)))
			og_log(OG_LOG_WARN, "settings.invalid", "variable=%s value=%s default=%llu", row->env,
			       og_log_quote(&q, text), (unsigned long long)row->otherwise);
		return;
	}
}

void options_environment(struct options *o)
{
	for (size_t i = 0; i < OG_COUNT(variable_rows); i++) {
		*(uint64_t *)field(o, &variable_rows[i]) = variable_rows[i].otherwise;
		from_env(o, &variable_rows[i]);
	}
	for (size_t i = 0; i < OG_COUNT(option_rows); i++)
		if (!(o->given & (1u << i)))
			from_env(o, &option_rows[i]);
}
