/* The message table as data, and the frame header. */
#include "config.h"

#include "ipc/messages.h"

static const struct og_ipc_row rows[] = {
#define ROW(name, nr, kind, by, class, limit) { nr, #name, OG_IPC_##kind, OG_IPC_##class, by, limit },
	OG_IPC_MESSAGES(ROW)
#undef ROW
};

const struct og_ipc_row *og_ipc_row(unsigned type)
{
	size_t lo = 0, hi = OG_COUNT(rows);

	/* The table is in ascending order of numbers (a unit test holds it to that). */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (rows[mid].type == type)
			return &rows[mid];
		if (rows[mid].type < type)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const char *og_ipc_name(unsigned type)
{
	const struct og_ipc_row *row = og_ipc_row(type);

	return row ? row->name : "?";
}

const char *og_role_name(enum og_role role)
{
	switch (role) {
	case OG_ROLE_MASTER:
		return "master";
	case OG_ROLE_STORAGED:
		return "storaged";
	case OG_ROLE_WORKER:
		return "worker";
	case OG_ROLE_BUILDER:
		return "builder";
	case OG_ROLE_OPERATOR:
		return "operator";
	case OG_ROLE_ADMIN:
		return "admin";
	}
	return "?";
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = v & 0xff;
	p[1] = v >> 8;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v & 0xffff);
	put16(p + 2, v >> 16);
}

void og_ipc_header_encode(const struct og_ipc_header *h, uint8_t out[OG_IPC_HEADER_SIZE])
{
	put16(out, h->type);
	put16(out + 2, h->flags);
	put32(out + 4, h->request);
	put32(out + 8, h->length);
	put32(out + 12, 0);
}

static int check_descriptor(const struct og_ipc_row *row, const struct og_ipc_header *h, bool has_fd,
			    struct og_error *err)
{
	bool memfd = h->flags & OG_IPC_F_MEMFD;
	bool fd = h->flags & OG_IPC_F_FD;

	if (memfd && (fd || row->class != OG_IPC_LARGE))
		return og_error_set(err, OG_ERR_PEER, "%s: a memfd that its class does not allow", row->name);
	if (fd && row->class != OG_IPC_FD && row->class != OG_IPC_FD_OPT)
		return og_error_set(err, OG_ERR_PEER, "%s: a descriptor that its class does not allow", row->name);
	if (!fd && row->class == OG_IPC_FD)
		return og_error_set(err, OG_ERR_PEER, "%s: its descriptor is missing", row->name);
	if (has_fd != (memfd || fd))
		return og_error_set(err, OG_ERR_PEER, "%s: descriptor %s, which its flags deny", row->name,
				    has_fd ? "present" : "absent");
	return 0;
}

static int check_row(const struct og_ipc_row *row, enum og_role sender, const struct og_ipc_header *h,
		     struct og_error *err)
{
	if (!(row->by & (1u << sender)))
		return og_error_set(err, OG_ERR_PEER, "%s: not a message of a %s", row->name, og_role_name(sender));
	if (h->flags & ~(OG_IPC_F_MEMFD | OG_IPC_F_FD | OG_IPC_F_MORE))
		return og_error_set(err, OG_ERR_PEER, "%s: unknown flags 0x%x", row->name, h->flags);
	if ((h->flags & OG_IPC_F_MORE) && row->kind != OG_IPC_ANSWER)
		return og_error_set(err, OG_ERR_PEER, "%s: only answers continue", row->name);
	if ((row->kind == OG_IPC_PUSH) != (h->request == 0))
		return og_error_set(err, OG_ERR_PEER, "%s: request number %u", row->name, h->request);
	if (h->length > row->limit)
		return og_error_set(err, OG_ERR_PEER, "%s: %u bytes, limit %u", row->name, h->length, row->limit);
	return 0;
}

int og_ipc_decode(struct og_slice packet, enum og_role sender, bool has_fd, struct og_ipc_header *h,
		  struct og_slice *body, struct og_error *err)
{
	struct og_reader r = og_reader_init(packet);
	struct og_ipc_header got;
	const struct og_ipc_row *row;
	uint32_t zero;
	size_t left;

	got.type = og_read_u16(&r);
	got.flags = og_read_u16(&r);
	got.request = og_read_u32(&r);
	got.length = og_read_u32(&r);
	zero = og_read_u32(&r);
	if (og_reader_ok(&r, NULL) < 0)
		return og_error_set(err, OG_ERR_PEER, "a packet of %zu bytes, shorter than a header", packet.len);
	row = og_ipc_row(got.type);
	if (!row)
		return og_error_set(err, OG_ERR_PEER, "unknown message %u", got.type);
	if (zero)
		return og_error_set(err, OG_ERR_PEER, "%s: reserved field is %u", row->name, zero);
	if (check_row(row, sender, &got, err) < 0 || check_descriptor(row, &got, has_fd, err) < 0)
		return OG_ERR_PEER;
	left = og_reader_left(&r);
	if (got.flags & OG_IPC_F_MEMFD) {
		if (left != 0 || got.length <= OG_IPC_INLINE_MAX)
			return og_error_set(err, OG_ERR_PEER, "%s: %zu bytes beside a memfd of %u", row->name, left,
					    got.length);
	} else if (left != got.length || left > OG_IPC_INLINE_MAX) {
		return og_error_set(err, OG_ERR_PEER, "%s: %u bytes announced, %zu there", row->name, got.length, left);
	}
	*h = got;
	*body = og_slice(packet.p + OG_IPC_HEADER_SIZE, left);
	return 0;
}
