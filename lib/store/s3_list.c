/* ListObjectsV2, page after page until there is something to show. */
#include "config.h"

#include "store/s3_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"

struct page {
	struct s3_op *op;
	char *key;			/* of the entry under way; in the arena */
	uint64_t size;
	bool encoded, truncated;
	char *token;
	size_t entries;
};

/* Keys of another writer's making are left out. */
static int add_item(struct s3_op *op, struct page *p, struct og_error *err)
{
	size_t n = strlen(op->s->prefix);
	struct og_store_item *items;
	char *key = p->key;
	size_t len = strlen(key);

	if (p->encoded) {
		len = og_aws_decode(key, len);
		key[len] = '\0';
		if (memchr(key, '\0', len))
			return 0;
	}
	if (strncmp(key, op->s->prefix, n) != 0 || !og_store_key_ok(key + n))
		return 0;
	key += n;
	if (strncmp(key, op->req.key, strlen(op->req.key)) != 0)
		return 0;
	if (op->nitems == op->cap_items) {
		items = reallocarray(op->items, op->cap_items ? op->cap_items * 2 : 64, sizeof(*items));
		if (!items)
			return og_error_nomem(err);
		op->items = items;
		op->cap_items = op->cap_items ? op->cap_items * 2 : 64;
	}
	op->items[op->nitems++] = (struct og_store_item){ key, p->size };
	return 0;
}

static int on_element(void *arg, const char *path, struct og_slice text, struct og_error *err)
{
	struct page *p = arg;
	static const char root[] = "ListBucketResult/";
	int rc;

	if (strncmp(path, root, sizeof(root) - 1) != 0)
		return 0;
	path += sizeof(root) - 1;
	if (strcmp(path, "Contents/Key") == 0) {
		if (memchr(text.p ? text.p : "", '\0', text.len))
			return 0;
		p->key = og_arena_strndup(&p->op->arena, text.p ? text.p : "", text.len);
		return p->key ? 0 : og_error_nomem(err);
	}
	if (strcmp(path, "Contents/Size") == 0) {
		if (!og_parse_u64(text, &p->size))
			return og_error_set(err, OG_ERR_CORRUPT, "a size is no number");
	} else if (strcmp(path, "Contents") == 0) {
		if (!p->key || ++p->entries > 100000)
			return og_error_set(err, OG_ERR_CORRUPT, "an entry without a key, or too many");
		rc = add_item(p->op, p, err);
		p->key = NULL;
		p->size = 0;
		return rc;
	} else if (strcmp(path, "IsTruncated") == 0) {
		p->truncated = og_slice_is(text, "true");
	} else if (strcmp(path, "NextContinuationToken") == 0) {
		free(p->token);
		p->token = strndup(text.p ? text.p : "", text.len);
		if (!p->token)
			return og_error_nomem(err);
	}
	return 0;
}

/* EncodingType decides how every key is read, and may come last: looked for first. */
static int on_encoding(void *arg, const char *path, struct og_slice text, struct og_error *err)
{
	bool *encoded = arg;

	(void)err;
	if (strcmp(path, "ListBucketResult/EncodingType") == 0)
		*encoded = og_slice_is(text, "url");
	return 0;
}

int s3_list_read(struct s3_op *op, struct og_slice xml, struct og_error *err)
{
	struct page p = { .op = op };
	int rc = og_xml_parse(xml, on_encoding, &p.encoded, err);

	if (rc == 0)
		rc = og_xml_parse(xml, on_element, &p, err);
	if (rc == 0 && p.truncated && (!p.token || !p.token[0]))
		rc = og_error_set(err, OG_ERR_CORRUPT, "the list is cut, and does not say where it goes on");
	if (rc < 0) {
		free(p.token);
		return rc;
	}
	free(op->token);
	op->token = p.truncated ? p.token : NULL;
	if (!p.truncated)
		free(p.token);
	op->more = p.truncated;
	return 0;
}

static int compare_items(const void *x, const void *y)
{
	const struct og_store_item *a = x, *b = y;

	return strcmp(a->key, b->key);
}

static void next_page(struct s3_op *op);

static void on_page(struct s3_call *c, void *arg)
{
	struct s3_op *op = arg;
	struct og_store_result res = { .fd = -1 };
	struct og_error err = { 0 };

	if (c->cls != S3_OK) {
		/* A prefix without objects is an empty list: what is missing here is the bucket. */
		s3_op_fail(op, c->cls == S3_MISSING ? OG_ERR_IO : s3_op_code(op, c->cls), &c->err);
		return;
	}
	if (s3_list_read(op, c->res->body, &err) < 0) {
		s3_op_fail(op, err.code == OG_ERR_NOMEM ? OG_ERR_NOMEM : OG_ERR_IO, &err);
		return;
	}
	if (!op->nitems && op->more) {
		next_page(op);
		return;
	}
	if (op->nitems)
		qsort(op->items, op->nitems, sizeof(*op->items), compare_items);
	res.items = op->items;
	res.nitems = op->nitems;
	res.more = op->more;
	s3_op_end(op, &res);
}

static void next_page(struct s3_op *op)
{
	struct s3_call *c;
	char *prefix, *after;

	if (!s3_op_call(op, "GET", NULL, on_page))
		return;
	c = op->call;
	prefix = og_arena_printf(&op->arena, "%s%s", op->s->prefix, op->req.key);
	after = og_arena_printf(&op->arena, "%s%s", op->s->prefix, op->req.after ? op->req.after : "");
	s3_call_param(c, "list-type", "2");
	s3_call_param(c, "encoding-type", "url");
	s3_call_param(c, "prefix", prefix);
	s3_call_param(c, "max-keys", op->number);
	if (op->req.after)
		s3_call_param(c, "start-after", after);
	if (op->token)
		s3_call_param(c, "continuation-token", op->token);
	c->net.max_bytes = OG_XML_MAX;
	c->xml_answer = true;
	s3_call_start(c);
}

void s3_list_begin(struct s3_op *op)
{
	size_t limit = op->req.limit ? OG_MIN(op->req.limit, (size_t)OG_STORE_PAGE_MAX) : OG_STORE_PAGE_MAX;

	snprintf(op->number, sizeof(op->number), "%zu", limit);
	next_page(op);
}
