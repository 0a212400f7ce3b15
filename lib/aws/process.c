/* credential_process: its output, and how it reaches og-storaged. */
#include "config.h"

#include "aws/process.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/date.h"
#include "json/tree.h"
#include "json/writer.h"

static struct og_slice text_of(const struct og_json *j, const char *name)
{
	const struct og_json *v = og_json_get(j, name);

	return og_json_is(v, OG_JT_STRING) ? v->s : og_slice(NULL, 0);
}

/* The copies in the arena; what has no escapes is in the document still. */
static void wipe_texts(const struct og_json *j, struct og_slice doc)
{
	static const char *const names[] = { "SecretAccessKey", "SessionToken", "secret", "token" };

	for (size_t i = 0; j && i < OG_COUNT(names); i++) {
		struct og_slice s = text_of(j, names[i]);

		if (s.len && (s.p < doc.p || s.p >= doc.p + doc.len))
			explicit_bzero((char *)(uintptr_t)s.p, s.len);
	}
}

static int refuse(const char *profile, const char *why, struct og_error *err)
{
	return og_error_set(err, OG_ERR_DENIED, "credential_process of profile '%s': %s", profile, why);
}

static bool printable(struct og_slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

static int check(const struct og_json *j, const char *profile, struct og_error *err)
{
	struct og_slice id = text_of(j, "AccessKeyId"), secret = text_of(j, "SecretAccessKey"), expires = text_of(j, "Expiration");
	uint64_t version;
	int64_t ms;

	if (!og_json_is(j, OG_JT_OBJECT))
		return refuse(profile, "what it printed is not a JSON object", err);
	if (!og_json_to_u64(og_json_get(j, "Version"), &version) || version != 1)
		return refuse(profile, "what it printed is not of Version 1", err);
	if (!id.len || !secret.len)
		return refuse(profile, "AccessKeyId and SecretAccessKey are not both there", err);
	if (!printable(id) || !printable(secret) || !printable(text_of(j, "SessionToken")))
		return refuse(profile, "a key holds control characters", err);
	if (expires.len && !og_datetime_parse(expires, &ms))
		return refuse(profile, "Expiration is no time", err);
	if (expires.len && ms * 1000 <= og_now_us())
		return refuse(profile, "the keys have expired", err);
	return 0;
}

int og_aws_process_output(struct og_slice output, const char *profile, struct og_buf *value, struct og_error *err)
{
	struct og_error ignored = { 0 };
	struct og_json_writer w;
	const struct og_json *j;
	struct og_arena a;
	int rc;

	og_arena_init(&a, 4 * OG_MIB);
	j = og_json_parse(&a, output, OG_JSON_LAST_WINS, &ignored);
	rc = check(j, profile, err);
	if (rc == 0) {
		og_json_writer_init(&w, value, false);
		og_json_begin_object(&w);
		og_json_member_str(&w, "profile", profile);
		og_json_member_string(&w, "id", text_of(j, "AccessKeyId"));
		og_json_member_string(&w, "secret", text_of(j, "SecretAccessKey"));
		if (text_of(j, "SessionToken").len)
			og_json_member_string(&w, "token", text_of(j, "SessionToken"));
		og_json_end_object(&w);
		rc = og_buf_ok(value, err);
	}
	wipe_texts(j, output);
	og_arena_fini(&a);
	return rc;
}

static bool keep(const struct og_json *j, const char *name, char **out)
{
	struct og_slice s = text_of(j, name);

	*out = s.len ? strndup(s.p, s.len) : NULL;
	return !s.len || *out;
}

int og_aws_process_keys_read(const char *value, const char *profile, struct og_aws_process_keys *k, struct og_error *err)
{
	struct og_error ignored = { 0 };
	const struct og_json *j;
	struct og_arena a;
	int rc = 0;

	*k = (struct og_aws_process_keys){ 0 };
	og_arena_init(&a, 4 * OG_MIB);
	j = og_json_parse(&a, og_slice_str(value), OG_JSON_LAST_WINS, &ignored);
	if (!og_json_is(j, OG_JT_OBJECT) || !og_slice_is(text_of(j, "profile"), profile))
		rc = og_error_set(err, OG_ERR_BAD, "AWS_CREDENTIAL_PROCESS_KEYS holds no keys of profile '%s'", profile);
	else if (!keep(j, "id", &k->id) || !keep(j, "secret", &k->secret) || !keep(j, "token", &k->token))
		rc = og_error_nomem(err);
	else if (!k->id || !k->secret)
		rc = og_error_set(err, OG_ERR_BAD, "AWS_CREDENTIAL_PROCESS_KEYS holds no keys");
	wipe_texts(j, og_slice_str(value));
	og_arena_fini(&a);
	return rc;
}

void og_aws_process_keys_fini(struct og_aws_process_keys *k)
{
	char **all[] = { &k->id, &k->secret, &k->token };

	for (size_t i = 0; i < OG_COUNT(all); i++) {
		if (*all[i])
			explicit_bzero(*all[i], strlen(*all[i]));
		free(*all[i]);
		*all[i] = NULL;
	}
}
