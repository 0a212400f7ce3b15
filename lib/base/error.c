/* Errors: the setters, and the cut at a character boundary. */
#include "config.h"

#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Copies text, cutting before a character that does not fit whole, and says so by "...". */
static void put_message(struct og_error *err, const char *text, size_t len)
{
	size_t room = sizeof(err->message) - 1;

	if (len > room) {
		len = room - 3;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
		memcpy(err->message + len, "...", 4);
	} else {
		err->message[len] = '\0';
	}
	memcpy(err->message, text, len);
}

/* Formats first and assigns after, for the arguments may point into *err. */
static void set_message(struct og_error *err, int code, const char *tail, const char *fmt, va_list ap)
{
	char text[sizeof(err->message) * 2];
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	size_t len = n < 0 ? 0 : OG_MIN((size_t)n, sizeof(text) - 1);

	if (tail) {
		n = snprintf(text + len, sizeof(text) - len, "%s", tail);
		if (n > 0)
			len = OG_MIN(len + (size_t)n, sizeof(text) - 1);
	}
	og_error_clear(err);
	err->code = code;
	put_message(err, text, len);
}

int og_error_set(struct og_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	set_message(err, code, NULL, fmt, ap);
	va_end(ap);
	return code;
}

int og_error_at(struct og_error *err, int code, uint64_t byte, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	set_message(err, code, NULL, fmt, ap);
	va_end(ap);
	err->pos.byte = byte;
	return code;
}

int og_error_sys(struct og_error *err, int errnum, const char *fmt, ...)
{
	char why[256], tail[300];
	va_list ap;
	int code;

	switch (errnum) {
	case ENOENT:
		code = OG_ERR_NOT_FOUND;
		break;
	case EEXIST:
		code = OG_ERR_EXISTS;
		break;
	case ENOMEM:
		code = OG_ERR_NOMEM;
		break;
	default:
		code = OG_ERR_IO;
	}
	if (!err)
		return code;
	snprintf(tail, sizeof(tail), ": %s", strerror_r(errnum, why, sizeof(why)));
	va_start(ap, fmt);
	set_message(err, code, tail, fmt, ap);
	va_end(ap);
	err->sys = errnum;
	return code;
}

int og_error_nomem(struct og_error *err)
{
	return og_error_set(err, OG_ERR_NOMEM, "out of memory");
}

int og_error_prefix(struct og_error *err, const char *fmt, ...)
{
	char text[sizeof(err->message) * 2];
	size_t len, old;
	va_list ap;
	int n;

	if (!err)
		return OG_ERR_INTERNAL;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(err->message), fmt, ap);
	va_end(ap);
	len = n < 0 ? 0 : OG_MIN((size_t)n, sizeof(err->message) - 1);
	old = strnlen(err->message, sizeof(err->message) - 1);
	memcpy(text + len, err->message, old);
	put_message(err, text, len + old);
	return err->code;
}

void og_error_clear(struct og_error *err)
{
	if (err)
		memset(err, 0, sizeof(*err));
}

const char *og_error_name(int code)
{
	switch ((enum og_err)code) {
	case OG_OK:
		return "ok";
	case OG_ERR_NOMEM:
		return "no_memory";
	case OG_ERR_IO:
		return "io";
	case OG_ERR_CORRUPT:
		return "corrupt";
	case OG_ERR_BAD:
		return "bad_request";
	case OG_ERR_NOT_FOUND:
		return "not_found";
	case OG_ERR_EXISTS:
		return "exists";
	case OG_ERR_MISMATCH:
		return "mismatch";
	case OG_ERR_CONFLICT:
		return "conflict";
	case OG_ERR_GONE:
		return "gone";
	case OG_ERR_TOO_LARGE:
		return "too_large";
	case OG_ERR_TIMEOUT:
		return "timeout";
	case OG_ERR_CANCELLED:
		return "cancelled";
	case OG_ERR_UNAVAILABLE:
		return "unavailable";
	case OG_ERR_UNKNOWN:
		return "unknown_outcome";
	case OG_ERR_DENIED:
		return "denied";
	case OG_ERR_UNSUPPORTED:
		return "unsupported";
	case OG_ERR_PEER:
		return "peer";
	case OG_ERR_INTERNAL:
		return "internal";
	case OG_ERR_EVAL:
		return "evaluate_again";
	}
	return "?";
}
