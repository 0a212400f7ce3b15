/* Statuses and envelopes of errors. */
#include "config.h"

#include "api/error.h"

#include "json/writer.h"

unsigned og_api_status(int err_code, const char **code)
{
	*code = NULL;
	switch ((enum og_err)err_code) {
	case OG_ERR_BAD:
	case OG_ERR_UNSUPPORTED:
		*code = "bad_request";
		return 400;
	case OG_ERR_DENIED:
		*code = "forbidden";
		return 403;
	case OG_ERR_NOT_FOUND:
		*code = "not_found";
		return 404;
	case OG_ERR_EXISTS:
	case OG_ERR_CONFLICT:
		*code = "conflict";
		return 409;
	case OG_ERR_GONE:
		return 410;
	case OG_ERR_MISMATCH:
		return 412;
	case OG_ERR_TOO_LARGE:
		*code = "bad_request";
		return 413;
	case OG_ERR_CANCELLED: /* whoever still reads it may ask again */
	case OG_ERR_UNAVAILABLE:
	case OG_ERR_UNKNOWN:
		return 503;
	case OG_ERR_TIMEOUT:
		return 504;
	case OG_OK:
	case OG_ERR_NOMEM:
	case OG_ERR_IO:
	case OG_ERR_CORRUPT:
	case OG_ERR_PEER:
	case OG_ERR_INTERNAL:
	case OG_ERR_EVAL:
		break;
	}
	*code = "internal";
	return 500;
}

bool og_api_split_key(struct og_slice key, struct og_slice *kind, struct og_slice *type)
{
	const char *colon = key.len ? memchr(key.p, ':', key.len) : NULL;

	if (!colon)
		return false;
	*kind = og_slice(key.p, (size_t)(colon - key.p));
	*type = og_slice(colon + 1, key.len - kind->len - 1);
	return true;
}

static void put_entity(struct og_json_writer *w, struct og_slice table_key)
{
	struct og_slice kind, type;

	if (!og_api_split_key(table_key, &kind, &type))
		return;
	og_json_member_string(w, "entity_kind", kind);
	og_json_member_string(w, "type_name", type);
}

static void put_detail(struct og_json_writer *w, const struct og_error *err)
{
	struct og_slice name = og_slice_str(err->detail.name);

	switch (err->detail.kind) {
	case OG_DETAIL_NONE:
		return;
	case OG_DETAIL_MANIFEST:
		og_json_member_object(w, "manifest_conflict");
		og_json_member_string(w, "table_key", name);
		og_json_member_u64(w, "expected", err->detail.expected);
		og_json_member_u64(w, "actual", err->detail.actual);
		og_json_end_object(w);
		/* the same in the newer vocabulary */
		og_json_member_object(w, "published_dataset_version_conflict");
		put_entity(w, name);
		og_json_member_u64(w, "expected_published_dataset_version", err->detail.expected);
		og_json_member_u64(w, "actual_published_dataset_version", err->detail.actual);
		og_json_end_object(w);
		return;
	case OG_DETAIL_KEY:
		og_json_member_object(w, "key_conflict");
		put_entity(w, name);
		if (err->detail.id[0])
			og_json_member_str(w, "entity_id", err->detail.id);
		og_json_end_object(w);
		return;
	case OG_DETAIL_LIMIT:
		og_json_member_object(w, "resource_limit");
		og_json_member_string(w, "resource", name);
		og_json_member_u64(w, "limit", err->detail.expected);
		og_json_member_u64(w, "actual", err->detail.actual);
		og_json_end_object(w);
		return;
	}
}

void og_api_envelope(struct og_buf *b, const struct og_error *err, const char *code)
{
	struct og_json_writer w;

	og_json_writer_init(&w, b, false);
	og_json_begin_object(&w);
	og_json_member_str(&w, "error", err->message);
	if (code)
		og_json_member_str(&w, "code", code);
	put_detail(&w, err);
	og_json_end_object(&w);
}
