/* Deletes: one by one, or by DeleteObjects, whose stragglers are deleted one by one. */
#include "config.h"

#include "store/s3_private.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "base/base64.h"

#define SINGLES 8u

struct single {
	struct s3_op *op;
	struct s3_call *call;		/* NULL: this place is free */
};

struct s3_many {
	bool *left;			/* by key: still to be deleted by itself */
	size_t next;
	unsigned running;
	struct single singles[SINGLES];
	int code;			/* of the first failure */
	struct og_error err;
	struct og_buf md5, sha;		/* base64 */
	struct og_slice part;
};

void s3_many_free(struct s3_op *op)
{
	if (!op->many)
		return;
	free(op->many->left);
	og_buf_fini(&op->many->md5);
	og_buf_fini(&op->many->sha);
	free(op->many);
	op->many = NULL;
}

static void end_many(struct s3_op *op)
{
	struct og_store_result res = { .fd = -1 };

	if (op->many->code < 0)
		s3_op_fail(op, op->many->code, &op->many->err);
	else
		s3_op_end(op, &res);
}

static void delete_singles(struct s3_op *op);

static void on_single(struct s3_call *c, void *arg)
{
	struct single *one = arg;
	struct s3_op *op = one->op;

	one->call = NULL;
	op->many->running--;
	if (c->cls != S3_OK && c->cls != S3_MISSING && !op->many->code) {
		op->many->code = s3_op_code(op, c->cls);
		og_error_set(&op->many->err, op->many->code, "%s: %s", c->key, c->err.message);
	}
	delete_singles(op);
}

static void delete_singles(struct s3_op *op)
{
	struct s3_many *m = op->many;

	for (unsigned i = 0; i < SINGLES; i++) {
		if (m->singles[i].call)
			continue;
		while (m->next < op->req.nkeys && !m->left[m->next])
			m->next++;
		if (m->next == op->req.nkeys)
			break;
		m->singles[i].op = op;
		m->singles[i].call = s3_call_new(op->s, "DELETE", op->req.keys[m->next], on_single, &m->singles[i]);
		if (!m->singles[i].call) {
			m->code = og_error_nomem(&m->err);
			m->next = op->req.nkeys;
			break;
		}
		m->next++;
		m->running++;
		s3_call_start(m->singles[i].call);
	}
	if (!m->running)
		end_many(op);
}

/* ---- DeleteObjects ---- */

struct answer {
	struct s3_op *op;
	char *key, code[64];
	struct og_arena arena;
};

static void keep(char *out, size_t size, struct og_slice text)
{
	size_t n = OG_MIN(text.len, size - 1);

	memcpy(out, text.p ? text.p : "", n);
	out[n] = '\0';
}

/* Each key by itself will say best what is wrong with it. */
static void on_key_error(struct answer *a)
{
	struct s3_op *op = a->op;
	size_t n = strlen(op->s->prefix);

	if (!a->key || strncmp(a->key, op->s->prefix, n) != 0 || strcmp(a->code, "NoSuchKey") == 0)
		return;
	for (size_t i = 0; i < op->req.nkeys; i++)
		if (strcmp(op->req.keys[i], a->key + n) == 0)
			op->many->left[i] = true;
}

static int on_element(void *arg, const char *path, struct og_slice text, struct og_error *err)
{
	struct answer *a = arg;

	if (strcmp(path, "DeleteResult/Error/Key") == 0) {
		a->key = og_arena_strndup(&a->arena, text.p ? text.p : "", text.len);
		return a->key ? 0 : og_error_nomem(err);
	}
	if (strcmp(path, "DeleteResult/Error/Code") == 0) {
		keep(a->code, sizeof(a->code), text);
	} else if (strcmp(path, "DeleteResult/Error") == 0) {
		on_key_error(a);
		a->key = NULL;
		a->code[0] = '\0';
	}
	return 0;
}

static void on_batch(struct s3_call *c, void *arg)
{
	struct s3_op *op = arg;
	struct answer a = { .op = op };
	struct og_error err = { 0 };

	if (c->cls == S3_OK) {
		og_arena_init(&a.arena, 0);
		if (og_xml_parse(c->res->body, on_element, &a, &err) < 0) {
			op->many->code = OG_ERR_UNKNOWN;
			op->many->err = err;
		}
		og_arena_fini(&a.arena);
	} else if (c->cls == S3_UNSUPPORTED) {
		op->s->no_batch = true;
		for (size_t i = 0; i < op->req.nkeys; i++)
			op->many->left[i] = true;
	} else {
		op->many->code = s3_op_code(op, c->cls);
		op->many->err = c->err;
	}
	if (op->many->code < 0)
		end_many(op);
	else
		delete_singles(op);
}

static int digests(struct s3_many *m, struct og_slice body, struct og_error *err)
{
	struct og_sha256 sha = og_sha256(body);
	unsigned char md5[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	og_base64_encode(&m->sha, og_slice(sha.b, sizeof(sha.b)));
	/* Some stores insist on it; where the library forbids MD5 the other digest must do. */
	if (EVP_Digest(body.p, body.len, md5, &n, EVP_md5(), NULL) == 1)
		og_base64_encode(&m->md5, og_slice(md5, n));
	return og_buf_ok(&m->sha, err) < 0 || og_buf_ok(&m->md5, err) < 0 ? OG_ERR_NOMEM : 0;
}

static bool write_batch(struct s3_op *op, size_t *n)
{
	struct og_buf *b = &op->body;

	*n = 0;
	og_buf_str(b, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
	for (size_t i = 0; i < op->req.nkeys; i++) {
		if (op->many->left[i])
			continue;
		og_buf_str(b, "<Object><Key>");
		og_xml_escape(b, og_slice_str(op->s->prefix));
		og_xml_escape(b, og_slice_str(op->req.keys[i]));
		og_buf_str(b, "</Key></Object>");
		(*n)++;
	}
	og_buf_str(b, "</Delete>");
	return !b->failed;
}

static void delete_batch(struct s3_op *op)
{
	struct s3_many *m = op->many;
	struct og_error err = { 0 };
	struct s3_call *c;

	m->part = og_buf_view(&op->body);
	if (digests(m, m->part, &err) < 0) {
		s3_op_fail(op, OG_ERR_NOMEM, &err);
		return;
	}
	if (!s3_op_call(op, "POST", NULL, on_batch))
		return;
	c = op->call;
	s3_call_param(c, "delete", "");
	s3_call_header(c, "content-type", "application/xml");
	if (m->md5.len)
		s3_call_header(c, "content-md5", m->md5.data);
	s3_call_header(c, "x-amz-checksum-sha256", m->sha.data);
	c->net.parts = &m->part;
	c->net.nparts = 1;
	c->net.len = m->part.len;
	c->net.send_body = true;
	c->net.max_bytes = OG_XML_MAX;
	c->xml_answer = true;
	s3_call_start(c);
}

static void on_delete(struct s3_call *c, void *arg)
{
	struct s3_op *op = arg;
	struct og_store_result res = { .fd = -1 };

	if (c->cls == S3_OK || c->cls == S3_MISSING)
		s3_op_end(op, &res);
	else
		s3_op_fail(op, s3_op_code(op, c->cls), &c->err);
}

void s3_delete_begin(struct s3_op *op)
{
	struct og_error err = { 0 };
	size_t batch = 0;

	if (op->req.op == OG_STORE_DELETE) {
		if (s3_op_call(op, "DELETE", op->req.key, on_delete))
			s3_call_start(op->call);
		return;
	}
	op->many = calloc(1, sizeof(*op->many));
	if (op->many)
		op->many->left = calloc(op->req.nkeys + 1, sizeof(bool));
	if (!op->many || !op->many->left) {
		s3_op_fail(op, og_error_nomem(&err), &err);
		return;
	}
	for (size_t i = 0; i < op->req.nkeys; i++)
		op->many->left[i] = op->s->no_batch || op->req.nkeys == 1 || !og_xml_can_carry(og_slice_str(op->req.keys[i])) ||
				    !og_xml_can_carry(og_slice_str(op->s->prefix));
	if (write_batch(op, &batch) && batch)
		delete_batch(op);
	else
		delete_singles(op);
}
