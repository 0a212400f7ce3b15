/* load, ingest. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/date.h"
#include "base/fd.h"
#include "load/load.h"
#include "og-cli/cli.h"
#include "og-cli/direct.h"

#define PIECE (512u * OG_KIB)
#define PROGRESS_US 200000u

/* What a terminal is shown while the data is read. */
struct progress {
	bool on, shown;
	uint64_t started_us, next_us;
	uint64_t bytes, total;		/* total 0: a pipe */
	uint64_t rows;			/* line ends so far */
};

struct loading {
	struct cli *c;
	bool ingest;
	struct og_selection sel;
	struct direct d;
	int fd;
	off_t start;			/* of the input in fd; -1: a pipe */
	struct og_load *load;
	bool may_feed, done;
	bool rewound;			/* all of it is to be fed again */
	int rc;
	struct progress progress;
};

/* ---- progress ---- */

static void progress_begin(struct progress *p, int fd)
{
	struct stat st;

	p->on = isatty(STDERR_FILENO) == 1;
	p->started_us = p->next_us = og_monotonic_us();
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		p->total = (uint64_t)st.st_size;
}

static void progress_show(const struct progress *p, uint64_t now)
{
	uint64_t us = OG_MAX(now - p->started_us, UINT64_C(1));
	double rate = (double)p->rows * 1e6 / (double)us, mib = (double)p->bytes / OG_MIB;

	if (p->total) {
		unsigned percent = (unsigned)OG_MIN(p->bytes * 100 / p->total, UINT64_C(100));
		char bar[26];

		memset(bar, ' ', 25);
		memset(bar, '#', percent / 4);
		bar[25] = '\0';
		fprintf(stderr, "\r[%s] %3u%%  %.1f of %.1f MiB  %.0f rows/s\033[K", bar, percent, mib, (double)p->total / OG_MIB, rate);
	} else {
		fprintf(stderr, "\r%.1f MiB  %.0f rows/s\033[K", mib, rate);
	}
	fflush(stderr);
}

static void progress_add(struct progress *p, struct og_slice piece)
{
	const char *at = piece.p, *end = piece.p + piece.len;
	uint64_t now;

	p->bytes += piece.len;
	if (!p->on)
		return;
	while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
		p->rows++;
		at++;
	}
	now = og_monotonic_us();
	if (now < p->next_us)
		return;
	p->next_us = now + PROGRESS_US;
	p->shown = true;
	progress_show(p, now);
}

static void progress_end(struct progress *p, uint64_t rows, bool ok)
{
	double s = (double)(og_monotonic_us() - p->started_us) / 1e6;

	if (!p->on)
		return;
	if (p->shown)
		fputs("\r\033[K", stderr);
	if (ok)
		fprintf(stderr, "%" PRIu64 " rows in %.1f s, %.0f rows/s\n", rows, s, (double)rows / OG_MAX(s, 0.001));
}

/* ---- results ---- */

static void load_json(struct loading *l, const struct og_load_result *r)
{
	struct og_json_writer w;

	og_json_writer_init(&w, &l->c->out, true);
	og_json_begin_object(&w);
	og_json_member_str(&w, "uri", l->sel.uri);
	og_json_member_string(&w, "branch", r->branch);
	og_json_member_str(&w, "mode", og_load_mode_name(r->mode));
	if (r->base_branch.p)
		og_json_member_string(&w, "base_branch", r->base_branch);
	og_json_member_bool(&w, "branch_created", r->branch_created);
	og_json_member_u64(&w, "nodes_loaded", r->nodes);
	og_json_member_u64(&w, "edges_loaded", r->edges);
	og_json_member_u64(&w, "node_types_loaded", r->node_types);
	og_json_member_u64(&w, "edge_types_loaded", r->edge_types);
	cli_put_commit(&w, r->commit, r->branch);
	og_json_end_object(&w);
	og_buf_byte(&l->c->out, '\n');
}

static void load_text(struct loading *l, const struct og_load_result *r)
{
	struct og_buf *out = &l->c->out;

	og_buf_printf(out, "loaded %s on branch %.*s with %s: %" PRIu64 " nodes across %" PRIu64 " node types, %" PRIu64 " edges across %" PRIu64 " edge types\n",
		      l->sel.uri, OG_FMT(r->branch), og_load_mode_name(r->mode), r->nodes, r->node_types, r->edges, r->edge_types);
	if (r->branch_created)
		og_buf_printf(out, "branch %.*s created from %.*s\n", OG_FMT(r->branch), OG_FMT(r->base_branch));
}

static void ingest_json(struct loading *l, const struct og_load_result *r)
{
	struct og_json_writer w;

	og_json_writer_init(&w, &l->c->out, true);
	og_json_begin_object(&w);
	og_json_member_str(&w, "uri", l->sel.uri);
	og_json_member_string(&w, "branch", r->branch);
	og_json_member_string(&w, "base_branch", r->base_branch);
	og_json_member_bool(&w, "branch_created", r->branch_created);
	og_json_member_str(&w, "mode", og_load_mode_name(r->mode));
	og_json_member_array(&w, "tables");
	for (size_t i = 0; i < r->ntables; i++) {
		og_json_begin_object(&w);
		og_json_member_string(&w, "table_key", r->tables[i].table_key);
		og_json_member_u64(&w, "rows_loaded", r->tables[i].rows_loaded);
		og_json_end_object(&w);
	}
	og_json_end_array(&w);
	/* Of a server's answer alone. */
	og_json_member_null(&w, "actor_id");
	cli_put_commit(&w, r->commit, r->branch);
	og_json_end_object(&w);
	og_buf_byte(&l->c->out, '\n');
}

static void ingest_text(struct loading *l, const struct og_load_result *r)
{
	struct og_buf *out = &l->c->out;

	og_buf_printf(out, "ingested %s into branch %.*s from %.*s with %s (%s)\n", l->sel.uri, OG_FMT(r->branch), OG_FMT(r->base_branch),
		      og_load_mode_name(r->mode), r->branch_created ? "branch created" : "branch exists");
	for (size_t i = 0; i < r->ntables; i++)
		og_buf_printf(out, "%.*s rows_loaded=%" PRIu64 "\n", OG_FMT(r->tables[i].table_key), r->tables[i].rows_loaded);
}

static void on_loaded(void *arg, const struct og_load_result *r, const struct og_error *err)
{
	struct loading *l = arg;
	bool json = arg_flag(&l->c->args, "json");

	l->done = true;
	l->load = NULL;
	l->rc = r ? 0 : err->code;
	progress_end(&l->progress, r ? r->nodes + r->edges : 0, r != NULL);
	if (!r)
		l->c->err = *err;
	else if (l->ingest && json)
		ingest_json(l, r);
	else if (l->ingest)
		ingest_text(l, r);
	else if (json)
		load_json(l, r);
	else
		load_text(l, r);
}

static void on_may_feed(void *arg)
{
	struct loading *l = arg;

	l->may_feed = true;
}

/* ---- feeding ---- */

static int on_rewind(void *arg, struct og_error *err)
{
	struct loading *l = arg;
	int e;

	if (lseek(l->fd, l->start, SEEK_SET) < 0) {
		e = errno;
		return og_error_sys(err, e, "%s: io", arg_text(&l->c->args, "data"));
	}
	l->progress.bytes = l->progress.rows = 0;
	l->may_feed = false;
	l->rewound = true;
	return 0;
}

static int read_piece(struct loading *l, char *p, size_t *n)
{
	ssize_t got;
	int e;

	do
		got = read(l->fd, p, PIECE);
	while (got < 0 && errno == EINTR);
	e = errno;
	if (got < 0)
		return og_error_sys(&l->c->err, e, "%s: io", arg_text(&l->c->args, "data"));
	*n = (size_t)got;
	return 0;
}

/* Until the end of the input, or the end of the load. */
static int feed_all(struct loading *l)
{
	struct og_error *err = &l->c->err;
	char *piece = malloc(PIECE);
	size_t n = 1;
	int rc = piece ? 0 : og_error_nomem(err);

	while (rc == 0 && !l->done && n > 0) {
		bool ready = l->may_feed || l->done;

		if (!ready) {
			bool *flags[] = { &l->may_feed, &l->done };

			rc = direct_wait_any(&l->d, flags, 2, err);
			continue;
		}
		if ((rc = read_piece(l, piece, &n)) < 0 || n == 0)
			break;
		progress_add(&l->progress, og_slice(piece, n));
		rc = og_load_feed(l->load, og_slice(piece, n), err);
		if (rc < 0)
			l->load = NULL;
		else if (rc == 1)
			l->may_feed = false;
		rc = OG_MIN(rc, 0);
	}
	free(piece);
	return rc;
}

/* All of the input, and that this was all. */
static int feed_once(struct loading *l)
{
	struct og_error *err = &l->c->err;
	int rc;

	l->rewound = false;
	rc = feed_all(l);
	if (rc == 0 && !l->done && !l->may_feed) {
		bool *flags[] = { &l->may_feed, &l->done };

		rc = direct_wait_any(&l->d, flags, 2, err);
	}
	if (rc == 0 && !l->done)
		og_load_finish(l->load);
	return rc;
}

static int run_load(struct loading *l, const struct og_load_req *req)
{
	struct og_error *err = &l->c->err;
	struct og_load *load;
	int rc;

	progress_begin(&l->progress, l->fd);
	load = og_load_start(l->d.ops, req, on_may_feed, on_loaded, l);
	if (!l->done)
		l->load = load;
	do {
		bool *flags[] = { &l->done, &l->rewound };

		rc = feed_once(l);
		if (rc == 0)
			rc = direct_wait_any(&l->d, flags, 2, err);
	} while (rc == 0 && !l->done);
	if (rc < 0 && l->load)
		og_load_cancel(l->load);
	if (rc < 0 && !l->done)
		progress_end(&l->progress, 0, false);
	return rc < 0 ? rc : l->rc;
}

static int open_data(struct loading *l)
{
	const char *path = arg_text(&l->c->args, "data");
	int e;

	if (strcmp(path, "-") == 0) {
		l->fd = STDIN_FILENO;
	} else {
		l->fd = open(path, O_RDONLY | O_CLOEXEC);
		e = errno;
		if (l->fd < 0)
			return og_error_sys(&l->c->err, e, "%s: io", path);
	}
	l->start = lseek(l->fd, 0, SEEK_CUR);
	return 0;
}

static int load(struct cli *c, bool ingest)
{
	struct loading l = { .c = c, .ingest = ingest, .fd = -1 };
	const char *from = arg_text(&c->args, "from"), *path;
	struct og_load_req req = { .mode = (enum og_load_mode)arg_choice(&c->args, "mode"), .thread = true, .spill = true, .file = true };
	int rc;

	if ((rc = cli_config(c)) < 0 || (rc = cli_select(c, &l.sel)) < 0 || (rc = og_config_coherent(&c->config, &l.sel, &c->err)) < 0 ||
	    (rc = cli_local(c, l.sel.uri, &path)) < 0 || (rc = cli_policy(c, &l.sel)) < 0 ||
	    (rc = og_zones_load(&c->err)) < 0 || (rc = direct_open(&l.d, path, l.sel.uri, c->secrets_fd, DIRECT_OPEN, &c->err)) < 0 ||
	    (rc = open_data(&l)) < 0)
		goto out;
	if (!from && ingest)
		from = c->config.cli.branch ? c->config.cli.branch : "main";
	req.branch = og_slice_str(cli_branch(c, NULL));
	req.from = og_slice_str(from);
	req.actor = og_slice_str(cli_actor(c));
	if (l.start >= 0)
		req.rewind = on_rewind;
	rc = run_load(&l, &req);
out:
	if (l.fd > STDIN_FILENO)
		og_fd_close(&l.fd);
	direct_close(&l.d);
	return rc < 0 ? cli_fail(c) : EXIT_DONE;
}

int cmd_load(struct cli *c)
{
	return load(c, false);
}

int cmd_ingest(struct cli *c)
{
	fputs("warning: `omnigraph ingest` is deprecated and will be removed in a future release; use `omnigraph load --from <base> --mode <mode>` "
	      "(ingest defaults: --from main --mode merge)\n",
	      stderr);
	return load(c, true);
}
