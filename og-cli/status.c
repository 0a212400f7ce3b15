/* status: what a running server says of itself. */
#include "config.h"

#include "base/utf8.h"
#include "ipc/admin.h"
#include "json/tree.h"
#include "og-cli/cli.h"

#define STATUS_MS 5000u

/* ---- cells ---- */

static void put_uptime(struct og_buf *b, const struct og_json *v)
{
	uint64_t s;

	if (!og_json_to_u64(v, &s))
		og_buf_byte(b, '-');
	else if (s >= 86400)
		og_buf_printf(b, "%llud%lluh", (unsigned long long)(s / 86400), (unsigned long long)(s / 3600 % 24));
	else if (s >= 3600)
		og_buf_printf(b, "%lluh%llum", (unsigned long long)(s / 3600), (unsigned long long)(s / 60 % 60));
	else
		og_buf_printf(b, "%llum%llus", (unsigned long long)(s / 60), (unsigned long long)(s % 60));
}

static void put_bytes(struct og_buf *b, const struct og_json *v)
{
	uint64_t n;

	if (!og_json_to_u64(v, &n))
		og_buf_byte(b, '-');
	else
		og_buf_printf(b, "%.1f MiB", (double)n / OG_MIB);
}

static void put_names(struct og_buf *b, const struct og_json *v)
{
	if (!og_json_is(v, OG_JT_ARRAY) || v->items.n == 0)
		og_buf_byte(b, '-');
	for (size_t i = 0; og_json_is(v, OG_JT_ARRAY) && i < v->items.n; i++) {
		if (i)
			og_buf_byte(b, ' ');
		if (v->items.v[i].type == OG_JT_STRING)
			og_buf_slice(b, v->items.v[i].s);
	}
}

static void put_plain(struct og_buf *b, const struct og_json *v)
{
	if (!v || v->type == OG_JT_NULL)
		og_buf_byte(b, '-');
	else if (v->type == OG_JT_STRING)
		og_buf_slice(b, v->s);
	else
		og_json_text(b, v);
}

/* ---- the table of processes ---- */

static const struct {
	const char *title, *member;
	void (*put)(struct og_buf *b, const struct og_json *v);
} process_cols[] = {
	{ "PROCESS", "name", put_plain },	   { "PID", "pid", put_plain },	       { "STATE", "state", put_plain },
	{ "GENERATION", "generation", put_plain }, { "UPTIME", "uptime_s", put_uptime }, { "MEMORY", "pss_bytes", put_bytes },
	{ "RESTARTS", "restarts", put_plain },	   { "PROTECTIONS", "protections", put_names },
};

static void put_cell(struct og_buf *b, const struct og_json *process, size_t col)
{
	const struct og_json *v = og_json_get(process, process_cols[col].member);

	/* Shares are told only where the kernel lets og-master read them. */
	if (process_cols[col].put == put_bytes && (!v || v->type == OG_JT_NULL))
		v = og_json_get(process, "rss_bytes");
	if (process)
		process_cols[col].put(b, v);
	else
		og_buf_str(b, process_cols[col].title);
}

static void put_row(struct og_buf *out, const struct og_json *process, const size_t *widths)
{
	for (size_t col = 0; col < OG_COUNT(process_cols); col++) {
		size_t from = out->len;

		if (col)
			og_buf_str(out, "  ");
		from = out->len;
		put_cell(out, process, col);
		if (col + 1 == OG_COUNT(process_cols) || out->failed)
			break;
		for (size_t n = og_utf8_count(og_slice(out->data + from, out->len - from)); n < widths[col]; n++)
			og_buf_byte(out, ' ');
	}
	og_buf_byte(out, '\n');
}

static void put_processes(struct cli *c, const struct og_json *list)
{
	size_t widths[OG_COUNT(process_cols)] = { 0 };

	for (size_t col = 0; col < OG_COUNT(process_cols); col++) {
		widths[col] = strlen(process_cols[col].title);
		for (size_t i = 0; og_json_is(list, OG_JT_ARRAY) && i < list->items.n; i++) {
			struct og_buf text = { 0 };

			put_cell(&text, &list->items.v[i], col);
			widths[col] = OG_MAX(widths[col], og_utf8_count(og_buf_view(&text)));
			og_buf_fini(&text);
		}
	}
	put_row(&c->out, NULL, widths);
	for (size_t i = 0; og_json_is(list, OG_JT_ARRAY) && i < list->items.n; i++)
		put_row(&c->out, &list->items.v[i], widths);
}

/* ---- graphs ---- */

static void put_heads(struct og_buf *out, const struct og_json *heads)
{
	for (size_t i = 0; og_json_is(heads, OG_JT_ARRAY) && i < heads->items.n; i++) {
		const struct og_json *h = &heads->items.v[i];

		og_buf_str(out, "  branch ");
		put_plain(out, og_json_get(h, "branch"));
		og_buf_str(out, ": commit ");
		put_plain(out, og_json_get(h, "commit"));
		og_buf_str(out, ", log position ");
		put_plain(out, og_json_get(h, "seq"));
		og_buf_byte(out, '\n');
	}
}

static void put_graphs(struct cli *c, const struct og_json *status)
{
	const struct og_json *graphs = og_json_get(status, "graphs"), *why = og_json_get(status, "graphs_unknown");

	og_buf_byte(&c->out, '\n');
	if (!og_json_is(graphs, OG_JT_ARRAY)) {
		og_buf_str(&c->out, "graphs: not known");
		if (og_json_is(why, OG_JT_STRING))
			og_buf_printf(&c->out, " (%.*s)", OG_FMT(why->s));
		og_buf_byte(&c->out, '\n');
		return;
	}
	for (size_t i = 0; i < graphs->items.n; i++) {
		og_buf_str(&c->out, "graph ");
		put_plain(&c->out, og_json_get(&graphs->items.v[i], "uri"));
		og_buf_byte(&c->out, '\n');
		put_heads(&c->out, og_json_get(&graphs->items.v[i], "heads"));
	}
}

/* "cache /var/cache/omnigraph: 12345 of 10737418240 bytes, 7 hits, 3 misses" */
static void put_cache(struct cli *c, const struct og_json *status)
{
	static const char *const parts[][2] = {
		{ "cache_bytes", ": " }, { "cache_limit", " of " }, { "cache_hits", " bytes, " }, { "cache_misses", " hits, " },
	};
	const struct og_json *dir = og_json_get(status, "cache_dir"), *counters = og_json_get(status, "counters");

	if (!og_json_is(dir, OG_JT_STRING) || !og_json_is(counters, OG_JT_OBJECT))
		return;
	og_buf_str(&c->out, "\ncache ");
	put_plain(&c->out, dir);
	for (size_t i = 0; i < OG_COUNT(parts); i++) {
		og_buf_str(&c->out, parts[i][1]);
		put_plain(&c->out, og_json_get(counters, parts[i][0]));
	}
	og_buf_str(&c->out, " misses\n");
}

static void put_counter(struct cli *c, const struct og_json *counters, const char *before, const char *name)
{
	og_buf_str(&c->out, before);
	put_plain(&c->out, og_json_get(counters, name));
}

/* What the store was asked for, and what became of the log. */
static void put_work(struct cli *c, const struct og_json *status)
{
	static const char *const ops[] = { "get", "head", "put", "put_absent", "put_match", "delete", "delete_many", "list" };
	const struct og_json *counters = og_json_get(status, "counters");

	if (!og_json_is(counters, OG_JT_OBJECT))
		return;
	put_counter(c, counters, "\nlog: ", "commits");
	put_counter(c, counters, " operations, ", "objects_put");
	put_counter(c, counters, " objects put, ", "objects_followed");
	put_counter(c, counters, " of other hosts, ", "lost_rounds");
	put_counter(c, counters, " rounds lost, ", "checkpoints");
	put_counter(c, counters, " checkpoints, ", "tail");
	og_buf_str(&c->out, " objects since\nstore:");
	for (size_t i = 0; i < OG_COUNT(ops); i++) {
		char name[32];

		snprintf(name, sizeof(name), "store_%s", ops[i]);
		put_counter(c, counters, i ? ", " : " ", name);
		og_buf_printf(&c->out, " %s", ops[i]);
	}
	put_counter(c, counters, "\nimages: ", "image_bytes");
	put_counter(c, counters, " of ", "image_limit");
	put_counter(c, counters, " bytes, ", "images_evicted");
	put_counter(c, counters, " evicted, ", "index_gets");
	put_counter(c, counters, " from the store, ", "index_puts");
	put_counter(c, counters, " into it\nHTTP: ", "http_requests");
	put_counter(c, counters, " requests, ", "http_retries");
	put_counter(c, counters, " of them repeated, ", "http_bytes_in");
	put_counter(c, counters, " bytes in, ", "http_bytes_out");
	og_buf_str(&c->out, " out\n");
}

static void put_last_ends(struct cli *c, const struct og_json *list)
{
	for (size_t i = 0; og_json_is(list, OG_JT_ARRAY) && i < list->items.n; i++) {
		const struct og_json *end = og_json_get(&list->items.v[i], "last_end");

		if (!og_json_is(end, OG_JT_STRING))
			continue;
		put_plain(&c->out, og_json_get(&list->items.v[i], "name"));
		og_buf_printf(&c->out, " ended before: %.*s\n", OG_FMT(end->s));
	}
}

static void put_text(struct cli *c, const struct og_json *status)
{
	const struct og_json *processes = og_json_get(status, "processes");

	og_buf_str(&c->out, "omnigraph-server ");
	put_plain(&c->out, og_json_get(status, "version"));
	og_buf_str(&c->out, ", ");
	put_plain(&c->out, og_json_get(status, "state"));
	og_buf_str(&c->out, " on ");
	put_plain(&c->out, og_json_get(status, "listen"));
	og_buf_str(&c->out, "\n\n");
	put_processes(c, processes);
	put_last_ends(c, processes);
	put_graphs(c, status);
	put_work(c, status);
	put_cache(c, status);
}

int cmd_status(struct cli *c)
{
	struct og_admin_addr addr;
	struct og_buf reply = { 0 };
	const struct og_json *status;
	int rc;

	if ((rc = og_admin_addr(arg_text(&c->args, "admin-socket"), &addr, &c->err)) < 0 ||
	    (rc = og_admin_call(&addr, "status", NULL, 0, STATUS_MS, &reply, &c->err)) < 0)
		goto out;
	status = og_json_parse(&c->arena, og_buf_view(&reply), OG_JSON_LAST_WINS, &c->err);
	if (!status) {
		rc = og_error_prefix(&c->err, "the server's answer: ");
	} else if (arg_flag(&c->args, "json")) {
		struct og_json_writer w;

		og_json_writer_init(&w, &c->out, true);
		og_json_put_tree(&w, status);
		og_buf_byte(&c->out, '\n');
	} else {
		put_text(c, status);
	}
out:
	og_buf_fini(&reply);
	return rc < 0 ? cli_fail(c) : EXIT_DONE;
}
