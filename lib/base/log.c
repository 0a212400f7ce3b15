/* The log: one event, one line, one write. */
#include "config.h"

#include "base/log.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192

/* Process-wide by design, see the header; set before threads start. */
static struct {
	char proc[64];
	enum og_log_level level;
	bool json;
	og_log_sink sink;
	void *sink_arg;
} state = { .proc = "main", .level = OG_LOG_INFO };

/* A line under construction; what does not fit is dropped, room for the end is kept. */
struct line {
	char s[LINE_MAX_BYTES];
	size_t len;
};

void og_log_init(const char *proc, enum og_log_level level, bool json)
{
	snprintf(state.proc, sizeof(state.proc), "%s", proc);
	state.level = level;
	state.json = json;
}

void og_log_set_sink(og_log_sink sink, void *arg)
{
	state.sink = sink;
	state.sink_arg = arg;
}

static bool level_word(const char *w, size_t n, enum og_log_level *out)
{
	static const struct {
		const char *word;
		enum og_log_level level;
	} words[] = {
		{ "off", OG_LOG_ERROR },   { "error", OG_LOG_ERROR }, { "warn", OG_LOG_WARN },
		{ "warning", OG_LOG_WARN }, { "info", OG_LOG_INFO },   { "debug", OG_LOG_DEBUG },
		{ "trace", OG_LOG_DEBUG },
	};

	for (size_t i = 0; i < OG_COUNT(words); i++) {
		if (strlen(words[i].word) == n && strncasecmp(words[i].word, w, n) == 0) {
			*out = words[i].level;
			return true;
		}
	}
	return false;
}

enum og_log_level og_log_parse_level(const char *text)
{
	enum og_log_level level = OG_LOG_INFO;

	while (text && *text) {
		size_t n = strcspn(text, ",");
		size_t skip = strspn(text, " ");
		const char *w = text + OG_MIN(skip, n);
		size_t len = n - OG_MIN(skip, n);

		while (len && w[len - 1] == ' ')
			len--;
		(void)level_word(w, len, &level);	/* directives for single modules are not ours */
		text += n + (text[n] == ',');
	}
	return level;
}

static size_t escape(char out[12], unsigned char c)
{
	switch (c) {
	case '"':
		return (size_t)sprintf(out, "\\\"");
	case '\\':
		return (size_t)sprintf(out, "\\\\");
	case '\n':
		return (size_t)sprintf(out, "\\n");
	case '\r':
		return (size_t)sprintf(out, "\\r");
	case '\t':
		return (size_t)sprintf(out, "\\t");
	}
	return (size_t)sprintf(out, "\\u%04x", c);
}

/*
 * Appends s with everything a terminal or a line reader could act on escaped as in JSON; a bad
 * byte becomes U+FFFD. Stops before the character that does not fit. Quotes and backslashes are
 * left alone unless asked for, for whole texts that are quoted already.
 */
static size_t put_safe(char *out, size_t room, const char *s, size_t n, bool quotes)
{
	struct og_slice src = og_slice(s, n);
	size_t pos = 0, len = 0;

	while (pos < n) {
		uint32_t cp = og_utf8_next(src, &pos);
		char piece[12];
		size_t k;

		if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || (quotes && (cp == '"' || cp == '\\')))
			k = escape(piece, (unsigned char)cp);
		else
			k = og_utf8_put(piece, cp);
		if (k > room - len)
			break;
		memcpy(out + len, piece, k);
		len += k;
	}
	return len;
}

const char *og_log_quote(struct og_log_quoted *q, const char *value)
{
	size_t n = value ? strlen(value) : 0, len;
	bool plain = n > 0 && n < sizeof(q->s);

	for (size_t i = 0; plain && i < n; i++) {
		unsigned char c = (unsigned char)value[i];

		plain = c > 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '=';
	}
	if (plain) {
		memcpy(q->s, value, n + 1);
		return q->s;
	}
	q->s[0] = '"';
	len = 1 + put_safe(q->s + 1, sizeof(q->s) - 3, value ? value : "", n, true);
	q->s[len++] = '"';
	q->s[len] = '\0';
	return q->s;
}

static void put(struct line *l, const char *s, size_t n)
{
	n = OG_MIN(n, sizeof(l->s) - 4 - l->len);
	memcpy(l->s + l->len, s, n);
	l->len += n;
}

static void put_str(struct line *l, const char *s)
{
	put(l, s, strlen(s));
}

/* Length of the value at p: a quoted string with its quotes, or up to the next space. */
static size_t value_len(const char *p, const char *end)
{
	const char *q = p;

	if (p == end || *p != '"') {
		while (q < end && *q != ' ')
			q++;
		return (size_t)(q - p);
	}
	for (q++; q < end && *q != '"'; q++)
		if (*q == '\\' && q + 1 < end)
			q++;
	return (size_t)((q < end ? q + 1 : q) - p);
}

static bool is_integer(const char *p, size_t n)
{
	size_t i = n && p[0] == '-';

	/* Few enough digits for any reader, and no leading zero, which JSON forbids. */
	if (n - i == 0 || n - i > 15 || (p[i] == '0' && n - i > 1))
		return false;
	for (; i < n; i++)
		if (p[i] < '0' || p[i] > '9')
			return false;
	return true;
}

static void put_json_string(struct line *l, const char *p, size_t n)
{
	size_t room = sizeof(l->s) - 8 - OG_MIN(l->len, sizeof(l->s) - 8);

	put_str(l, "\"");
	l->len += put_safe(l->s + l->len, room, p, n, true);
	put_str(l, "\"");
}

/* Turns `key=value key="value"` into members. A member that would not fit whole ends the object. */
static void put_members(struct line *l, const char *p, const char *end)
{
	while (p < end) {
		const char *eq = p, *value;
		size_t n;

		while (eq < end && *eq != '=' && *eq != ' ')
			eq++;
		if (p == eq) {
			p++;
			continue;
		}
		value = eq < end && *eq == '=' ? eq + 1 : p;
		n = value_len(value, end);
		if (l->len + 6 * ((size_t)(eq - p) + n) + 32 > sizeof(l->s))
			return;
		put_str(l, ",");
		if (value == p)
			put_str(l, "\"text\"");
		else
			put_json_string(l, p, (size_t)(eq - p));
		put_str(l, ":");
		if ((n >= 2 && value[0] == '"' && value[n - 1] == '"') || is_integer(value, n))
			put(l, value, n);
		else
			put_json_string(l, value, n);
		p = value + n;
	}
}

static void put_time(struct line *l)
{
	struct timespec ts;
	struct tm tm;
	char text[64];

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900, tm.tm_mon + 1,
		 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ts.tv_nsec / 1000000);
	put_str(l, text);
}

void og_log(enum og_log_level level, const char *event, const char *fmt, ...)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	char raw[LINE_MAX_BYTES / 2], safe[LINE_MAX_BYTES - 512];
	struct line l = { .len = 0 };
	size_t n;
	va_list ap;
	int k;

	if (level > state.level)
		return;
	va_start(ap, fmt);
	k = vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	n = k < 0 ? 0 : OG_MIN((size_t)k, sizeof(raw) - 1);
	n = put_safe(safe, sizeof(safe), raw, n, false);
	if (state.json) {
		put_str(&l, "{\"time\":\"");
		put_time(&l);
		put_str(&l, "\",\"level\":\"");
		put_str(&l, names[level]);
		put_str(&l, "\",\"proc\":");
		put_json_string(&l, state.proc, strlen(state.proc));
		put_str(&l, ",\"event\":");
		put_json_string(&l, event, strlen(event));
		put_members(&l, safe, safe + n);
		put_str(&l, "}");
	} else {
		put_time(&l);
		put_str(&l, " ");
		put_str(&l, names[level]);
		put_str(&l, " ");
		put_str(&l, state.proc);
		put_str(&l, " ");
		put_str(&l, event);
		if (n)
			put_str(&l, " ");
		put(&l, safe, n);
	}
	l.s[l.len++] = '\n';
	if (state.sink)
		state.sink(state.sink_arg, l.s, l.len);
	else
		(void)!write(STDERR_FILENO, l.s, l.len);	/* there is nowhere to report it */
}
