/* snapshot, schema show: the state of a branch. */
#include "config.h"

#include "og-cli/cli.h"
#include "og-cli/direct.h"

/* Opens the graph that the arguments name; reads are outside of the coherence rule. */
static int open_graph(struct cli *c, struct direct *d)
{
	struct og_selection sel;
	const char *path;
	int rc;

	if ((rc = cli_config(c)) < 0 || (rc = cli_select(c, &sel)) < 0 || (rc = cli_local(c, sel.uri, &path)) < 0)
		return rc;
	return direct_open(d, path, sel.uri, c->secrets_fd, DIRECT_OPEN, &c->err);
}

/* ---- snapshot ---- */

/* NULL: main. */
static const char *owner_name(const struct og_snap *s, const struct og_snap_type *t, const char *branch)
{
	return og_ulid_cmp(&t->owner, &s->branch) == 0 && strcmp(branch, "main") != 0 ? branch : NULL;
}

static void snapshot_json(struct cli *c, const struct og_snap *s, const char *branch)
{
	struct og_json_writer w;

	og_json_writer_init(&w, &c->out, true);
	og_json_begin_object(&w);
	og_json_member_str(&w, "branch", branch);
	og_json_member_u64(&w, "manifest_version", s->version);
	og_json_member_array(&w, "tables");
	for (uint32_t i = 0; i < s->ntypes; i++) {
		const struct og_type *t = &s->catalog->types[i];
		char path[32];

		og_type_table_path(t, path);
		og_json_begin_object(&w);
		og_json_member_string(&w, "table_key", t->table_key);
		og_json_member_str(&w, "table_path", path);
		og_json_member_u64(&w, "table_version", s->types[i].table_version);
		og_json_member_str(&w, "table_branch", owner_name(s, &s->types[i], branch));
		og_json_member_u64(&w, "row_count", s->types[i].rows);
		og_json_end_object(&w);
	}
	og_json_end_array(&w);
	og_json_end_object(&w);
	og_buf_byte(&c->out, '\n');
}

static void snapshot_text(struct cli *c, const struct og_snap *s, const char *branch)
{
	og_buf_printf(&c->out, "branch: %s\nmanifest_version: %llu\n", branch, (unsigned long long)s->version);
	for (uint32_t i = 0; i < s->ntypes; i++) {
		const char *owner = owner_name(s, &s->types[i], branch);

		og_buf_slice(&c->out, s->catalog->types[i].table_key);
		og_buf_printf(&c->out, " v%llu branch=%s rows=%llu\n", (unsigned long long)s->types[i].table_version, owner ? owner : "main",
			      (unsigned long long)s->types[i].rows);
	}
}

int cmd_snapshot(struct cli *c)
{
	struct og_snap *s = NULL;
	struct direct d = { 0 };
	int rc = open_graph(c, &d);

	if (rc == 0)
		rc = direct_state(&d, cli_branch(c, NULL), &s, &c->err);
	if (rc == 0 && arg_flag(&c->args, "json"))
		snapshot_json(c, s, cli_branch(c, NULL));
	else if (rc == 0)
		snapshot_text(c, s, cli_branch(c, NULL));
	og_snap_unref(s);
	direct_close(&d);
	return rc < 0 ? cli_fail(c) : EXIT_DONE;
}

/* ---- schema show ---- */

int cmd_schema_show(struct cli *c)
{
	struct og_json_writer w;
	struct og_snap *s = NULL;
	struct direct d = { 0 };
	int rc = open_graph(c, &d);

	if (rc == 0)
		rc = direct_state(&d, "main", &s, &c->err);
	if (rc == 0 && arg_flag(&c->args, "json")) {
		og_json_writer_init(&w, &c->out, true);
		og_json_begin_object(&w);
		og_json_member_string(&w, "schema_source", s->catalog->source);
		og_json_end_object(&w);
	} else if (rc == 0) {
		og_buf_slice(&c->out, s->catalog->source);
	}
	if (rc == 0)
		og_buf_byte(&c->out, '\n');
	og_snap_unref(s);
	direct_close(&d);
	return rc < 0 ? cli_fail(c) : EXIT_DONE;
}
