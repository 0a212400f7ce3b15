/* XML of AWS services. */
#include "config.h"

#include "aws/xml.h"

#include <stdio.h>

#include <expat.h>

#include "base/utf8.h"

struct parse {
	XML_Parser parser;
	og_xml_cb cb;
	void *arg;
	struct og_error *err;
	int rc;
	unsigned depth;
	char path[OG_XML_PATH];
	size_t len;			/* of path */
	struct og_buf text;
};

static void stop(struct parse *p, int rc)
{
	if (p->rc == 0)
		p->rc = rc;
	XML_StopParser(p->parser, XML_FALSE);
}

static void refuse(struct parse *p, const char *why)
{
	stop(p, og_error_at(p->err, OG_ERR_CORRUPT, (uint64_t)XML_GetCurrentByteIndex(p->parser), "XML: %s", why));
}

static const char *local(const char *name)
{
	const char *colon = strrchr(name, ':');

	return colon ? colon + 1 : name;
}

static void on_start(void *arg, const char *name, const char **attributes)
{
	struct parse *p = arg;
	const char *l = local(name);
	size_t n = strlen(l);

	(void)attributes;
	if (p->rc < 0)
		return;
	if (p->depth == OG_XML_DEPTH || n + 2 > sizeof(p->path) - p->len) {
		refuse(p, "nested too deeply");
		return;
	}
	if (p->depth++)
		p->path[p->len++] = '/';
	memcpy(p->path + p->len, l, n + 1);
	p->len += n;
	og_buf_clear(&p->text);
}

static void on_end(void *arg, const char *name)
{
	struct parse *p = arg;
	const char *slash;
	int rc;

	(void)name;
	if (p->rc < 0)
		return;
	if (p->text.failed) {
		stop(p, og_error_nomem(p->err));
		return;
	}
	rc = p->cb(p->arg, p->path, og_buf_view(&p->text), p->err);
	if (rc < 0) {
		stop(p, rc);
		return;
	}
	og_buf_clear(&p->text);
	slash = strrchr(p->path, '/');
	p->len = slash ? (size_t)(slash - p->path) : 0;
	p->path[p->len] = '\0';
	p->depth--;
}

static void on_text(void *arg, const char *s, int n)
{
	struct parse *p = arg;

	if (p->rc < 0)
		return;
	if ((size_t)n > OG_XML_TEXT - p->text.len)
		refuse(p, "a text is too long");
	else
		og_buf_append(&p->text, s, (size_t)n);
}

static void on_doctype(void *arg, const char *name, const char *sysid, const char *pubid, int internal)
{
	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	refuse(arg, "a DOCTYPE has no place here");
}

int og_xml_parse(struct og_slice doc, og_xml_cb cb, void *arg, struct og_error *err)
{
	struct parse p = { .cb = cb, .arg = arg, .err = err };

	while (doc.len && strchr(" \t\r\n", doc.p[0]) && doc.p[0])
		doc = og_slice(doc.p + 1, doc.len - 1);
	if (doc.len > OG_XML_MAX)
		return og_error_set(err, OG_ERR_CORRUPT, "XML: longer than %u bytes", OG_XML_MAX);
	p.parser = XML_ParserCreate(NULL);
	if (!p.parser)
		return og_error_nomem(err);
	XML_SetUserData(p.parser, &p);
	XML_SetElementHandler(p.parser, on_start, on_end);
	XML_SetCharacterDataHandler(p.parser, on_text);
	XML_SetStartDoctypeDeclHandler(p.parser, on_doctype);
	if (XML_Parse(p.parser, doc.len ? doc.p : "", (int)doc.len, 1) != XML_STATUS_OK && p.rc == 0)
		p.rc = og_error_at(err, OG_ERR_CORRUPT, (uint64_t)XML_GetCurrentByteIndex(p.parser), "XML: %s at line %lu",
				   XML_ErrorString(XML_GetErrorCode(p.parser)),
				   (unsigned long)XML_GetCurrentLineNumber(p.parser));
	XML_ParserFree(p.parser);
	og_buf_fini(&p.text);
	return p.rc;
}

void og_xml_escape(struct og_buf *b, struct og_slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];

		switch (c) {
		case '&':
			og_buf_str(b, "&amp;");
			break;
		case '<':
			og_buf_str(b, "&lt;");
			break;
		case '>':
			og_buf_str(b, "&gt;");
			break;
		case '"':
			og_buf_str(b, "&quot;");
			break;
		default:
			if (c < 0x20 || c == 0x7f)
				og_buf_printf(b, "&#%u;", c);
			else
				og_buf_byte(b, c);
		}
	}
}

bool og_xml_can_carry(struct og_slice text)
{
	size_t pos = 0;

	if (og_utf8_check(text) != text.len)
		return false;
	while (pos < text.len) {
		uint32_t c = og_utf8_next(text, &pos);

		if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0xfffe || c == 0xffff)
			return false;
	}
	return true;
}

/* ---- errors ---- */

static void keep(char *out, size_t size, struct og_slice text)
{
	size_t n = OG_MIN(text.len, size - 1);

	/* Never half a character. */
	while (n < text.len && n && (text.p[n] & 0xc0) == 0x80)
		n--;
	memcpy(out, text.p ? text.p : "", n);
	out[n] = '\0';
	for (char *p = out; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
}

static int on_fault(void *arg, const char *path, struct og_slice text, struct og_error *err)
{
	struct og_aws_fault *f = arg;

	(void)err;
	if (strncmp(path, "ErrorResponse/", 14) == 0)
		path += 14;
	if (strcmp(path, "Error/Code") == 0)
		keep(f->code, sizeof(f->code), text);
	else if (strcmp(path, "Error/Message") == 0)
		keep(f->message, sizeof(f->message), text);
	else if (strcmp(path, "Error/RequestId") == 0 || strcmp(path, "RequestId") == 0)
		keep(f->request_id, sizeof(f->request_id), text);
	else if (strcmp(path, "Error/Region") == 0)
		keep(f->region, sizeof(f->region), text);
	return 0;
}

void og_aws_fault_read(struct og_slice body, struct og_aws_fault *out)
{
	struct og_error ignored = { 0 };

	*out = (struct og_aws_fault){ 0 };
	/* What was read before the document turned out broken still helps. */
	if (!body.len || og_xml_parse(body, on_fault, out, &ignored) < 0)
		return;
}
