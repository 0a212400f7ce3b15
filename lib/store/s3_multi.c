/* A large put in parts: CreateMultipartUpload, UploadPart, CompleteMultipartUpload; after a failure AbortMultipartUpload. */
#include "config.h"

#include "store/s3_private.h"

#include <stdio.h>
#include <stdlib.h>

#define PART_MIN (UINT64_C(8) * OG_MIB)
#define PARTS_MAX 10000u
#define IN_FLIGHT 4u
#define COMPLETE_STALL_S 300u	/* it may take minutes */

struct lane {
	struct s3_op *op;
	struct s3_call *call;
	unsigned part;			/* from 1 */
	char number[12];
};

struct s3_multi {
	uint64_t total, part_bytes;
	unsigned nparts, next, done;
	char upload[1024];
	struct og_store_tag *tags;
	struct lane lanes[IN_FLIGHT];
	struct og_slice body;
	int code;
	struct og_error err;
};

void s3_multi_free(struct s3_op *op)
{
	if (!op->multi)
		return;
	free(op->multi->tags);
	free(op->multi);
	op->multi = NULL;
}

static void on_abort(struct s3_call *c, void *arg)
{
	struct s3_op *op = arg;

	(void)c;
	s3_op_fail(op, op->multi->code, &op->multi->err);
}

/* Best effort: what stays behind is garbage that costs, and nothing else. */
static void abort_upload(struct s3_op *op)
{
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		s3_call_drop(op->multi->lanes[i].call);
		op->multi->lanes[i].call = NULL;
	}
	if (!op->multi->upload[0]) {
		s3_op_fail(op, op->multi->code, &op->multi->err);
		return;
	}
	if (!s3_op_call(op, "DELETE", op->req.key, on_abort))
		return;
	s3_call_param(op->call, "uploadId", op->multi->upload);
	op->call->once = true;
	s3_call_start(op->call);
}

static void give_up(struct s3_op *op, int code, const struct og_error *err)
{
	op->multi->code = code;
	op->multi->err = *err;
	abort_upload(op);
}

/* ---- the end ---- */

static void on_look(struct s3_call *c, void *arg)
{
	struct s3_op *op = arg;
	struct og_store_result res = { .fd = -1 };
	const char *text;
	char want[24];

	snprintf(want, sizeof(want), "%llu", (unsigned long long)op->multi->total);
	if (c->cls == S3_OK && og_net_header_find(c->res, "content-length", &text) && strcmp(text, want) == 0)
		s3_op_end(op, &res);
	else
		s3_op_fail(op, OG_ERR_UNKNOWN, &op->multi->err);
}

static void on_complete(struct s3_call *c, void *arg)
{
	struct s3_op *op = arg;
	struct og_store_result res = { .fd = -1 };

	if (c->cls == S3_OK) {
		s3_op_end(op, &res);
		return;
	}
	/* "No such upload" after a lost answer: it was carried out, or cleaned up by somebody. The object tells. */
	if (c->cls == S3_MISSING && c->was_unknown) {
		op->multi->err = c->err;
		if (s3_op_call(op, "HEAD", op->req.key, on_look))
			s3_call_start(op->call);
		return;
	}
	if (c->cls >= S3_UNSENT)
		s3_op_fail(op, OG_ERR_UNKNOWN, &c->err);
	else
		give_up(op, OG_ERR_IO, &c->err);
}

static void complete(struct s3_op *op)
{
	struct s3_multi *m = op->multi;
	struct og_buf *b = &op->body;

	og_buf_str(b, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (unsigned i = 0; i < m->nparts; i++) {
		og_buf_printf(b, "<Part><PartNumber>%u</PartNumber><ETag>", i + 1);
		og_xml_escape(b, og_slice_str(m->tags[i].s));
		og_buf_str(b, "</ETag></Part>");
	}
	og_buf_str(b, "</CompleteMultipartUpload>");
	m->body = og_buf_view(b);
	if (!s3_op_call(op, "POST", op->req.key, on_complete))
		return;
	s3_call_param(op->call, "uploadId", m->upload);
	s3_call_header(op->call, "content-type", "application/xml");
	op->call->net.parts = &m->body;
	op->call->net.nparts = 1;
	op->call->net.len = m->body.len;
	op->call->net.send_body = true;
	op->call->net.stall_s = COMPLETE_STALL_S;
	op->call->xml_answer = true;
	s3_call_start(op->call);
}

/* ---- the parts ---- */

static void next_parts(struct s3_op *op);

static void on_part(struct s3_call *c, void *arg)
{
	struct lane *l = arg;
	struct s3_op *op = l->op;
	struct s3_multi *m = op->multi;
	struct og_error err = { 0 };
	const char *etag = NULL;

	l->call = NULL;
	if (c->cls != S3_OK) {
		/* An upload that is not completed has no effect: this put has not happened. */
		give_up(op, c->cls >= S3_UNSENT ? OG_ERR_UNKNOWN : OG_ERR_IO, &c->err);
		return;
	}
	if (!og_net_header_find(c->res, "etag", &etag) || strlen(etag) >= sizeof(m->tags->s)) {
		og_error_set(&err, OG_ERR_IO, "no usable ETag for part %u", l->part);
		give_up(op, OG_ERR_IO, &err);
		return;
	}
	strcpy(m->tags[l->part - 1].s, etag);
	if (++m->done == m->nparts)
		complete(op);
	else
		next_parts(op);
}

static bool start_part(struct s3_op *op, struct lane *l)
{
	struct s3_multi *m = op->multi;
	struct s3_call *c = s3_call_new(op->s, "PUT", op->req.key, on_part, l);

	if (!c)
		return false;
	l->op = op;
	l->call = c;
	l->part = ++m->next;
	snprintf(l->number, sizeof(l->number), "%u", l->part);
	s3_call_param(c, "partNumber", l->number);
	s3_call_param(c, "uploadId", m->upload);
	c->net.parts = op->req.parts;
	c->net.nparts = op->req.nparts;
	c->net.from_fd = op->req.from_fd;
	c->net.fd = op->req.fd;
	c->net.offset = (l->part - 1) * m->part_bytes;
	c->net.len = OG_MIN(m->part_bytes, m->total - c->net.offset);
	c->net.send_body = true;
	s3_call_start(c);
	return true;
}

static void next_parts(struct s3_op *op)
{
	struct s3_multi *m = op->multi;
	struct og_error err = { 0 };

	for (unsigned i = 0; i < IN_FLIGHT && m->next < m->nparts; i++) {
		if (m->lanes[i].call)
			continue;
		if (!start_part(op, &m->lanes[i])) {
			give_up(op, og_error_nomem(&err), &err);
			return;
		}
	}
}

/* ---- the beginning ---- */

static int on_element(void *arg, const char *path, struct og_slice text, struct og_error *err)
{
	struct s3_multi *m = arg;

	if (strcmp(path, "InitiateMultipartUploadResult/UploadId") != 0)
		return 0;
	if (!text.len || text.len >= sizeof(m->upload) || memchr(text.p, '\0', text.len))
		return og_error_set(err, OG_ERR_CORRUPT, "an unusable upload id");
	memcpy(m->upload, text.p, text.len);
	m->upload[text.len] = '\0';
	return 0;
}

static void on_created(struct s3_call *c, void *arg)
{
	struct s3_op *op = arg;
	struct og_error err = { 0 };

	if (c->cls != S3_OK) {
		s3_op_fail(op, s3_op_code(op, c->cls), &c->err);
		return;
	}
	if (og_xml_parse(c->res->body, on_element, op->multi, &err) < 0 || !op->multi->upload[0]) {
		if (!err.code)
			og_error_set(&err, OG_ERR_CORRUPT, "the answer holds no upload id");
		s3_op_fail(op, OG_ERR_IO, &err);
		return;
	}
	next_parts(op);
}

void s3_multi_begin(struct s3_op *op)
{
	struct s3_multi *m = calloc(1, sizeof(*m));
	struct og_error err = { 0 };

	op->multi = m;
	if (m) {
		m->total = s3_body_len(&op->req);
		m->part_bytes = PART_MIN;
		while (m->total / m->part_bytes >= PARTS_MAX)
			m->part_bytes *= 2;
		m->nparts = (unsigned)((m->total + m->part_bytes - 1) / m->part_bytes);
		m->tags = calloc(m->nparts, sizeof(*m->tags));
	}
	if (!m || !m->tags) {
		s3_op_fail(op, og_error_nomem(&err), &err);
		return;
	}
	if (!s3_op_call(op, "POST", op->req.key, on_created))
		return;
	s3_call_param(op->call, "uploads", "");
	s3_call_header(op->call, "content-type", "application/octet-stream");
	op->call->net.send_body = true;
	op->call->xml_answer = true;
	s3_call_start(op->call);
}
