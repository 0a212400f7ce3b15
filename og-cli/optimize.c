/* optimize: a checkpoint with all that lies in pieces folded, and the Delta log behind it. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/config.h"
#include "json/tree.h"
#include "og-cli/cli.h"
#include "og-cli/direct.h"

#define KEY_WIDTH 40

struct folded {
	struct og_slice key;
	uint64_t removed, added;
};

static int by_key(const void *a, const void *b)
{
	const struct folded *x = a, *y = b;

	return og_slice_cmp(x->key, y->key);
}

/* og-storaged's report; sorted by key. */
static int read_report(struct cli *c, struct og_slice text, struct folded **out, size_t *n)
{
	const struct og_json *j = og_json_parse(&c->arena, text, OG_JSON_LAST_WINS, &c->err), *tables, *warnings;
	struct folded *v;

	if (!j)
		return og_error_prefix(&c->err, "og-storaged's report: ");
	warnings = og_json_get(j, "warnings");
	for (size_t i = 0; og_json_is(warnings, OG_JT_ARRAY) && i < warnings->items.n; i++)
		if (og_json_is(&warnings->items.v[i], OG_JT_STRING))
			fprintf(stderr, "warning: %.*s\n", OG_FMT(warnings->items.v[i].s));
	tables = og_json_get(j, "tables");
	if (!og_json_is(tables, OG_JT_ARRAY))
		return og_error_set(&c->err, OG_ERR_PEER, "og-storaged's report is incomplete");
	v = og_arena_array(&c->arena, tables->items.n ? tables->items.n : 1, sizeof(*v));
	if (!v)
		return og_arena_error(&c->arena, &c->err);
	for (size_t i = 0; i < tables->items.n; i++) {
		const struct og_json *t = &tables->items.v[i], *key = og_json_get(t, "table_key");

		if (!og_json_is(key, OG_JT_STRING) || !og_json_to_u64(og_json_get(t, "fragments_removed"), &v[i].removed) ||
		    !og_json_to_u64(og_json_get(t, "fragments_added"), &v[i].added))
			return og_error_set(&c->err, OG_ERR_PEER, "og-storaged's report is incomplete");
		v[i].key = key->s;
	}
	if (tables->items.n)
		qsort(v, tables->items.n, sizeof(*v), by_key);
	*out = v;
	*n = tables->items.n;
	return 0;
}

/* The field names are those of the releases before; drift is none of ours. */
static void put_json(struct cli *c, const char *uri, const struct folded *v, size_t n)
{
	struct og_json_writer w;

	og_json_writer_init(&w, &c->out, true);
	og_json_begin_object(&w);
	og_json_member_str(&w, "uri", uri);
	og_json_member_array(&w, "tables");
	for (size_t i = 0; i < n; i++) {
		og_json_begin_object(&w);
		og_json_member_string(&w, "table_key", v[i].key);
		og_json_member_u64(&w, "fragments_removed", v[i].removed);
		og_json_member_u64(&w, "fragments_added", v[i].added);
		og_json_member_bool(&w, "committed", v[i].removed || v[i].added);
		og_json_member_null(&w, "skipped");
		og_json_member_null(&w, "manifest_version");
		og_json_member_null(&w, "lance_head_version");
		og_json_end_object(&w);
	}
	og_json_end_array(&w);
	og_json_end_object(&w);
	og_buf_byte(&c->out, '\n');
}

static void put_text(struct cli *c, const char *uri, const struct folded *v, size_t n)
{
	og_buf_printf(&c->out, "optimize %s \xe2\x80\x94 %zu tables\n", uri, n);
	for (size_t i = 0; i < n; i++) {
		og_buf_printf(&c->out, "  %-*.*s ", KEY_WIDTH, OG_FMT(v[i].key));
		if (v[i].removed || v[i].added)
			og_buf_printf(&c->out, "frags %llu \xe2\x86\x92 %llu \xe2\x9c\x93\n", (unsigned long long)v[i].removed,
				      (unsigned long long)v[i].added);
		else
			og_buf_str(&c->out, "no-op\n");
	}
}

static int fold(struct cli *c, struct direct *d, struct folded **v, size_t *n)
{
	struct og_buf body = { 0 }, text = { 0 };
	struct og_slice kept = { 0 };
	int rc = direct_builder(d, &c->err);

	og_put_str(&body, "optimize");
	if (rc == 0)
		rc = direct_report(d, OG_IPC_MAINTAIN, &body, &text, &c->err);
	if (rc == 0) {
		kept = og_arena_slice(&c->arena, og_buf_view(&text));
		rc = kept.p ? read_report(c, kept, v, n) : og_arena_error(&c->arena, &c->err);
	}
	og_buf_fini(&body);
	og_buf_fini(&text);
	return rc;
}

int cmd_optimize(struct cli *c)
{
	struct direct d = { 0 };
	struct folded *v = NULL;
	struct og_selection sel;
	const char *path;
	size_t n = 0;
	int rc;

	if ((rc = cli_config(c)) < 0 || (rc = cli_select(c, &sel)) < 0)
		goto out;
	if (og_uri_kind(sel.uri) == OG_URI_HTTP)
		rc = og_error_set(&c->err, OG_ERR_UNSUPPORTED, "optimize is only supported against local graph URIs in this milestone");
	if (rc < 0 || (rc = cli_local(c, sel.uri, &path)) < 0 ||
	    (rc = direct_open(&d, path, sel.uri, c->secrets_fd, DIRECT_OPEN, &c->err)) < 0 || (rc = fold(c, &d, &v, &n)) < 0)
		goto out;
	if (arg_flag(&c->args, "json"))
		put_json(c, sel.uri, v, n);
	else
		put_text(c, sel.uri, v, n);
out:
	direct_close(&d);
	return rc < 0 ? cli_fail(c) : EXIT_DONE;
}
