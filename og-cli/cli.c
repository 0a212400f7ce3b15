/* What commands share: config, selection, input, output, reports. */
#include "config.h"

#include "og-cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/utf8.h"
#include "proc/secrets.h"

#define TEXT_MAX ((size_t)1 << 30)

int cli_config(struct cli *c)
{
	int rc = og_config_load(&c->config, arg_text(&c->args, "config"), &c->err);

	if (rc < 0)
		return rc;
	c->config_loaded = true;
	rc = og_config_env(&c->config, &c->err);
	/* What the file adds goes the same way as what was there from the start. */
	return rc < 0 ? rc : og_secrets_take_more(environ, &c->secrets_fd, &c->err);
}

int cli_select(struct cli *c, struct og_selection *sel)
{
	const char *uri = arg_known(&c->args, "URI") ? arg_text(&c->args, "URI") : NULL;

	if (!uri)
		uri = arg_text(&c->args, "uri");
	return og_config_select(&c->config, uri, arg_text(&c->args, "target"), NULL, c->config.cli.graph, sel, &c->err);
}

int cli_local(struct cli *c, const char *uri, const char **path)
{
	int rc;

	switch (og_uri_kind(uri)) {
	case OG_URI_HTTP:
		return og_error_set(&c->err, OG_ERR_UNSUPPORTED, "%s: remote graphs are not available in this version", uri);
	case OG_URI_OTHER:
		return og_error_set(&c->err, OG_ERR_UNSUPPORTED, "%s: unknown scheme; a graph is a path, file://, s3:// or http(s)://", uri);
	case OG_URI_S3:
		if ((rc = cli_process_keys(c)) < 0)
			return rc;
		break;
	case OG_URI_PATH:
	case OG_URI_FILE:
		break;
	}
	return og_uri_normal(&c->arena, uri, path, &c->err);
}

const char *cli_branch(const struct cli *c, const char *alias_branch)
{
	const char *b = arg_text(&c->args, "branch");

	if (!b)
		b = alias_branch ? alias_branch : c->config.cli.branch;
	return b ? b : "main";
}

const char *cli_actor(const struct cli *c)
{
	return c->args.actor ? c->args.actor : c->config.cli.actor;
}

int cli_policy(struct cli *c, const struct og_selection *sel)
{
	const char *file = sel->graph ? sel->graph->policy.file : c->config.policy.file;

	if (!file)
		return 0;
	return og_error_set(&c->err, OG_ERR_UNSUPPORTED, "policy: writes under a policy file (%s) are not available in this version", file);
}

int cli_read_text(struct cli *c, const char *path, struct og_slice *out)
{
	bool input = strcmp(path, "-") == 0;
	struct og_buf b = { 0 };
	int rc, fd = input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC), e = errno;

	if (fd < 0)
		return og_error_sys(&c->err, e, "%s", path);
	rc = og_fd_read_all(fd, &b, TEXT_MAX, &c->err);
	if (rc < 0)
		og_error_prefix(&c->err, "%s: ", path);
	else if (og_utf8_check(og_buf_view(&b)) != b.len)
		rc = og_error_set(&c->err, OG_ERR_BAD, "%s: stream did not contain valid UTF-8", path);
	if (rc == 0) {
		*out = og_arena_slice(&c->arena, og_buf_view(&b));
		rc = out->p ? 0 : og_arena_error(&c->arena, &c->err);
	}
	if (!input)
		og_fd_close(&fd);
	og_buf_fini(&b);
	return rc;
}

void cli_put_commit(struct og_json_writer *w, const struct og_wire_commit *commit, struct og_slice branch)
{
	og_json_member_object(w, "commit");
	og_json_member_str(w, "graph_commit_id", og_ulid_format(&commit->commit).s);
	if (og_slice_is(branch, "main"))
		og_json_member_null(w, "manifest_branch");
	else
		og_json_member_string(w, "manifest_branch", branch);
	og_json_member_u64(w, "manifest_version", commit->version);
	og_json_member_str(w, "parent_commit_id", og_ulid_zero(&commit->parent) ? NULL : og_ulid_format(&commit->parent).s);
	og_json_member_str(w, "merged_parent_commit_id", og_ulid_zero(&commit->merged) ? NULL : og_ulid_format(&commit->merged).s);
	if (commit->actor.p)
		og_json_member_string(w, "actor_id", commit->actor);
	else
		og_json_member_null(w, "actor_id");
	og_json_member_i64(w, "created_at", commit->at_us);
	og_json_end_object(w);
}

int cli_flush(struct cli *c)
{
	int rc = og_buf_ok(&c->out, &c->err);

	if (rc == 0)
		rc = og_fd_write_all(STDOUT_FILENO, og_buf_view(&c->out), &c->err);
	c->reader_gone = rc < 0 && c->err.sys == EPIPE;
	og_buf_clear(&c->out);
	return rc;
}

/* One cause; further lines are indented. What the system said carries its number, as clients look for it. */
static void put_cause(struct og_buf *b, unsigned index, const struct og_error *err)
{
	const char *why = err->sys ? strerror(err->sys) : NULL;
	const char *text = err->message, *at = why ? strstr(text, why) : NULL;

	og_buf_printf(b, "   %u: ", index);
	for (; *text; text++) {
		if (at && text == at + strlen(why) && strncmp(text, " (os error", 10) != 0)
			og_buf_printf(b, " (os error %d)", err->sys);
		og_buf_byte(b, (uint8_t)*text);
		if (*text == '\n')
			og_buf_str(b, "      ");
	}
	if (at && text == at + strlen(why))
		og_buf_printf(b, " (os error %d)", err->sys);
	og_buf_byte(b, '\n');
}

int cli_fail(struct cli *c)
{
	struct og_buf b = { 0 };

	/* Nobody is interested. */
	if (c->reader_gone)
		return EXIT_FAILED;
	og_buf_str(&b, "Error:\n");
	put_cause(&b, 0, &c->err);
	if (og_fd_write_all(STDERR_FILENO, og_buf_view(&b), NULL) < 0)
		(void)0; /* nowhere left to say it */
	og_buf_fini(&b);
	return EXIT_FAILED;
}

int cli_unavailable(struct cli *c)
{
	char label[64];

	args_label(&c->args, label);
	og_error_set(&c->err, OG_ERR_UNSUPPORTED, "omnigraph %s is not available in this version", label);
	return cli_fail(c);
}
