/*
 * One line of key=value per event, to stderr or to a sink (a child's LOG channel).
 * A line: time level proc event key=value ... ; values that need it are quoted and escaped, so a
 * message can never forge a line. With JSON the same as one object.
 *
 * Usage: og_log(OG_LOG_INFO, "worker.exit", "pid=%d signal=%d", pid, sig);
 *        og_log(OG_LOG_WARN, "graph.open", "uri=%s", og_log_quote(&q, uri));
 * The text after the event must already be key=value pairs; og_log_quote makes one value safe.
 *
 * State: the one exception to "no global mutable state": level, format and sink are process-wide
 * and set before threads start. Threads: any.
 */
#ifndef OG_BASE_LOG_H
#define OG_BASE_LOG_H

#include <stdbool.h>

#include "base/error.h"

enum og_log_level { OG_LOG_ERROR, OG_LOG_WARN, OG_LOG_INFO, OG_LOG_DEBUG };

struct og_log_quoted {
	char s[1024];
};

typedef void (*og_log_sink)(void *arg, const char *line, size_t len);	/* line ends in LF */

/* proc: "master", "worker.3", ... ; copied. */
void og_log_init(const char *proc, enum og_log_level level, bool json);
void og_log_set_sink(og_log_sink sink, void *arg);	/* NULL: stderr */
/* RUST_LOG as existing deployments set it: error|warn|info|debug|trace|off, "a=b,info" uses the bare word;
 * unknown or NULL: info. */
enum og_log_level og_log_parse_level(const char *text);
void og_log(enum og_log_level level, const char *event, const char *fmt, ...) OG_PRINTF(3, 4);
/* value or "value with \"escapes\"", cut at the buffer's size */
const char *og_log_quote(struct og_log_quoted *q, const char *value);

#endif
