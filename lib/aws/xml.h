/*
 * XML of AWS services, read by expat: small documents without a DOCTYPE, elements by their local names.
 * Trust:   hostile: at most 16 MiB, 32 levels, 512 bytes of path, 64 KiB of text in an element; entities beyond XML's own five
 *          cannot be, as there is no DOCTYPE to define them.
 * Threads: pure.
 */
#ifndef OG_AWS_XML_H
#define OG_AWS_XML_H

#include "base/buf.h"

#define OG_XML_MAX (16u * OG_MIB)
#define OG_XML_DEPTH 32
#define OG_XML_PATH 512
#define OG_XML_TEXT (64u * OG_KIB)

/*
 * At the end of each element, inner ones first: its path from the root without prefixes ("ListBucketResult/Contents/Key") and the
 * text since the last tag. Below 0 ends the parsing with that code.
 */
typedef int (*og_xml_cb)(void *arg, const char *path, struct og_slice text, struct og_error *err);

/* 0, OG_ERR_CORRUPT with the place, OG_ERR_NOMEM, or what the callback returned. Leading white space is allowed. */
int og_xml_parse(struct og_slice doc, og_xml_cb cb, void *arg, struct og_error *err) OG_MUST_CHECK;

/* Text as XML carries it. */
void og_xml_escape(struct og_buf *b, struct og_slice text);
/* Whether XML 1.0 can carry it: well-formed UTF-8 without control characters (but for tab and line ends) and U+FFFE, U+FFFF. */
bool og_xml_can_carry(struct og_slice text);

/* <Error><Code/><Message/>..., also as ErrorResponse/Error of STS. Members are empty where the body does not say. */
struct og_aws_fault {
	char code[64];
	char message[512];
	char request_id[128];
	char region[64];
};
/* Never fails: what is no such document leaves *out empty. */
void og_aws_fault_read(struct og_slice body, struct og_aws_fault *out);

#endif
