/* verify: everything that a graph consists of is read and checked. */
#include "config.h"

#include "json/tree.h"
#include "og-cli/cli.h"
#include "og-cli/direct.h"

struct verify {
	struct cli *c;
	struct direct d;
	const struct og_json *report;	/* og-storaged's: objects, digests, references */
	struct og_snap *snap;
	uint64_t *counted;		/* live rows, like the catalog's types */
	struct og_buf faults;		/* texts, each with a NUL behind it */
	size_t nfaults;
};

static void add_fault(struct verify *v, struct og_slice text)
{
	og_buf_slice(&v->faults, text);
	og_buf_byte(&v->faults, 0);
	v->nfaults++;
}

/* What fails in reading the graph is a fault of the graph; only a lack of memory is ours. */
static int fault_of(struct verify *v, const char *what, const struct og_error *err)
{
	struct og_buf text = { 0 };
	int rc;

	if (err->code == OG_ERR_NOMEM) {
		v->c->err = *err;
		return err->code;
	}
	og_buf_printf(&text, "%s: %s", what, err->message);
	rc = og_buf_ok(&text, &v->c->err);
	if (rc == 0)
		add_fault(v, og_buf_view(&text));
	og_buf_fini(&text);
	return rc;
}

/* ---- the store ---- */

static int check_store(struct verify *v)
{
	struct cli *c = v->c;
	struct og_buf body = { 0 }, text = { 0 };
	const struct og_json *faults;
	struct og_slice kept = { 0 };
	int rc;

	og_put_str(&body, "verify");
	rc = direct_report(&v->d, OG_IPC_MAINTAIN, &body, &text, &c->err);
	if (rc == 0) {
		kept = og_arena_slice(&c->arena, og_buf_view(&text));
		rc = kept.p ? 0 : og_arena_error(&c->arena, &c->err);
	}
	og_buf_fini(&body);
	og_buf_fini(&text);
	if (rc < 0)
		return rc;
	v->report = og_json_parse(&c->arena, kept, OG_JSON_LAST_WINS, &c->err);
	if (!v->report)
		return og_error_prefix(&c->err, "og-storaged's report: ");
	faults = og_json_get(v->report, "faults");
	for (size_t i = 0; og_json_is(faults, OG_JT_ARRAY) && i < faults->items.n; i++)
		if (faults->items.v[i].type == OG_JT_STRING)
			add_fault(v, faults->items.v[i].s);
	return 0;
}

/* ---- the rows ---- */

struct pinned {
	struct verify *v;
	uint32_t type;
	bool done;
	struct og_error err;
};

static void on_pinned(void *arg, struct og_view *view, const struct og_error *err)
{
	struct pinned *p = arg;
	uint32_t slots[1024], cursor = 0;
	size_t n;

	p->done = true;
	p->err = *err;
	if (err->code < 0)
		return;
	while ((n = og_view_scan(&view->types[p->type], &cursor, slots, OG_COUNT(slots))) > 0)
		p->v->counted[p->type] += n;
}

/* Every column of the type is decoded, but for a key that is read from the ids; and ids, and an edge type's ends. */
static int build_type(struct verify *v, uint32_t type)
{
	const struct og_type *t = &v->snap->catalog->types[type];
	struct og_need *needs = og_arena_array(&v->c->arena, t->nprops + 3, sizeof(*needs));
	struct pinned p = { .v = v, .type = type };
	char what[200];
	size_t n = 0;
	int rc;

	if (!needs)
		return og_arena_error(&v->c->arena, &v->c->err);
	needs[n++] = (struct og_need){ .kind = OG_NEED_IDS, .type = t };
	needs[n++] = t->kind == OG_NODE ? (struct og_need){ .kind = OG_NEED_IDX, .type = t } : (struct og_need){ .kind = OG_NEED_ADJ, .type = t };
	for (uint32_t i = 0; i < t->nprops; i++)
		needs[n++] = (struct og_need){ .kind = OG_NEED_COL, .type = t, .prop = i };
	og_graph_pin(v->snap, needs, n, on_pinned, &p);
	rc = direct_wait(&v->d, &p.done, &v->c->err);
	if (rc < 0)
		return rc;
	snprintf(what, sizeof(what), "%.*s", OG_FMT(t->table_key));
	if (p.err.code < 0)
		return fault_of(v, what, &p.err);
	if (v->counted[type] == v->snap->types[type].rows)
		return 0;
	og_error_set(&p.err, OG_ERR_CORRUPT, "%llu rows found, %llu recorded", (unsigned long long)v->counted[type],
		     (unsigned long long)v->snap->types[type].rows);
	return fault_of(v, what, &p.err);
}

static int check_rows(struct verify *v)
{
	struct cli *c = v->c;
	struct og_error why = { 0 };

	if (direct_state(&v->d, "main", &v->snap, &why) < 0)
		return fault_of(v, "branch main", &why);
	v->counted = og_arena_array(&c->arena, v->snap->ntypes ? v->snap->ntypes : 1, sizeof(*v->counted));
	if (!v->counted)
		return og_arena_error(&c->arena, &c->err);
	for (uint32_t i = 0; i < v->snap->ntypes; i++) {
		int rc = build_type(v, i);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- output ---- */

static const char *const counts[] = { "objects", "records", "bodies", "checkpoints", "segments", "index", "bytes" };

/* The i-th of what is worth knowing and no fault; .p NULL: there are no more. */
static struct og_slice note_of(const struct verify *v, size_t i)
{
	const struct og_json *notes = og_json_get(v->report, "notes");

	return og_json_is(notes, OG_JT_ARRAY) && i < notes->items.n && notes->items.v[i].type == OG_JT_STRING ? notes->items.v[i].s :
														 og_slice(NULL, 0);
}

static uint64_t count_of(const struct verify *v, const char *name)
{
	uint64_t n = 0;

	(void)og_json_to_u64(og_json_get(v->report, name), &n);
	return n;
}

static void put_json(struct verify *v, const char *uri)
{
	struct og_json_writer w;

	og_json_writer_init(&w, &v->c->out, true);
	og_json_begin_object(&w);
	og_json_member_str(&w, "uri", uri);
	og_json_member_bool(&w, "ok", v->nfaults == 0);
	og_json_member_array(&w, "faults");
	for (size_t at = 0; at < v->faults.len; at += strlen(v->faults.data + at) + 1)
		og_json_put_str(&w, v->faults.data + at);
	og_json_end_array(&w);
	og_json_member_array(&w, "notes");
	for (size_t i = 0; note_of(v, i).p; i++)
		og_json_put_string(&w, note_of(v, i));
	og_json_end_array(&w);
	for (size_t i = 0; i < OG_COUNT(counts); i++)
		og_json_member_u64(&w, counts[i], count_of(v, counts[i]));
	og_json_member_array(&w, "tables");
	for (uint32_t i = 0; v->snap && v->counted && i < v->snap->ntypes; i++) {
		og_json_begin_object(&w);
		og_json_member_string(&w, "table_key", v->snap->catalog->types[i].table_key);
		og_json_member_u64(&w, "row_count", v->snap->types[i].rows);
		og_json_member_u64(&w, "rows_found", v->counted[i]);
		og_json_end_object(&w);
	}
	og_json_end_array(&w);
	og_json_end_object(&w);
	og_buf_byte(&v->c->out, '\n');
}

static void put_text(struct verify *v, const char *uri)
{
	struct og_buf *out = &v->c->out;
	uint64_t rows = 0;

	for (size_t at = 0; at < v->faults.len; at += strlen(v->faults.data + at) + 1)
		og_buf_printf(out, "FAULT %s\n", v->faults.data + at);
	for (size_t i = 0; note_of(v, i).p; i++)
		og_buf_printf(out, "note %.*s\n", OG_FMT(note_of(v, i)));
	for (uint32_t i = 0; v->snap && v->counted && i < v->snap->ntypes; i++)
		rows += v->counted[i];
	og_buf_printf(out, "verified %s:", uri);
	for (size_t i = 0; i < OG_COUNT(counts); i++)
		og_buf_printf(out, "%s %llu %s", i ? "," : "", (unsigned long long)count_of(v, counts[i]), counts[i]);
	og_buf_printf(out, "; %llu rows in %u types; %zu fault%s\n", (unsigned long long)rows, v->snap ? v->snap->ntypes : 0, v->nfaults,
		      v->nfaults == 1 ? "" : "s");
}

int cmd_verify(struct cli *c)
{
	struct verify v = { .c = c };
	struct og_selection sel;
	const char *path;
	int rc, code;

	if ((rc = cli_config(c)) < 0 || (rc = cli_select(c, &sel)) < 0 || (rc = cli_local(c, sel.uri, &path)) < 0 ||
	    (rc = direct_open(&v.d, path, sel.uri, c->secrets_fd, DIRECT_OPEN, &c->err)) < 0 || (rc = check_store(&v)) < 0 || (rc = check_rows(&v)) < 0 ||
	    (rc = og_buf_ok(&v.faults, &c->err)) < 0)
		goto out;
	if (arg_flag(&c->args, "json"))
		put_json(&v, sel.uri);
	else
		put_text(&v, sel.uri);
	/* The report is complete also when it is bad news. */
	rc = cli_flush(c);
out:
	code = rc < 0 ? cli_fail(c) : v.nfaults ? EXIT_FAILED : EXIT_DONE;
	og_snap_unref(v.snap);
	direct_close(&v.d);
	og_buf_fini(&v.faults);
	return code;
}
