/* export: a branch as JSON lines on stdout. */
#include "config.h"

#include <stdio.h>

#include "load/export.h"
#include "og-cli/cli.h"
#include "og-cli/direct.h"

struct exporting {
	struct cli *c;
	struct direct d;
	struct og_export *x;
	bool ready, failed;
};

static void on_ready(void *arg, struct og_export *x, const struct og_error *err)
{
	struct exporting *e = arg;

	e->ready = true;
	e->x = x;
	if (err->code < 0) {
		e->c->err = *err;
		e->failed = true;
	}
}

static int names(struct cli *c, const char *option, const struct og_slice **out, size_t *n)
{
	const char *const *v;
	struct og_slice *s;

	*n = arg_all(&c->args, option, &v);
	s = og_arena_array(&c->arena, *n ? *n : 1, sizeof(*s));
	if (!s)
		return og_arena_error(&c->arena, &c->err);
	for (size_t i = 0; i < *n; i++)
		s[i] = og_slice_str(v[i]);
	*out = s;
	return 0;
}

static int stream(struct exporting *e)
{
	struct cli *c = e->c;
	int rc = OG_EXPORT_WAIT;

	do {
		if (rc == OG_EXPORT_WAIT) {
			int waited = direct_wait(&e->d, &e->ready, &c->err);

			if (waited < 0)
				return waited;
			if (e->failed)
				return c->err.code;
			e->ready = false;
		}
		rc = og_export_next(e->x, &c->out, &c->err);
		if (rc < 0)
			return rc;
		if (cli_flush(c) < 0)
			return c->err.code;
	} while (rc != OG_EXPORT_END);
	return 0;
}

int cmd_export(struct cli *c)
{
	struct exporting e = { .c = c };
	struct og_export_req req = { 0 };
	struct og_selection sel;
	const char *path;
	int rc;

	if (arg_flag(&c->args, "jsonl"))
		fputs("warning: --jsonl is deprecated; `omnigraph export` always emits JSONL\n", stderr);
	if ((rc = cli_config(c)) < 0 || (rc = cli_select(c, &sel)) < 0 || (rc = names(c, "type", &req.type_names, &req.ntype_names)) < 0 ||
	    (rc = names(c, "table", &req.table_keys, &req.ntable_keys)) < 0 || (rc = cli_local(c, sel.uri, &path)) < 0 ||
	    (rc = direct_open(&e.d, path, sel.uri, c->secrets_fd, DIRECT_OPEN, &c->err)) < 0)
		goto out;
	req.branch = og_slice_str(cli_branch(c, NULL));
	e.x = og_op_export(e.d.ops, &req, on_ready, &e);
	rc = stream(&e);
	og_export_free(e.x);
out:
	direct_close(&e.d);
	return rc < 0 ? cli_fail(c) : EXIT_DONE;
}
