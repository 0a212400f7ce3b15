/*
 * What tells workers without a message that there is something new: the doorbell that all processes of a host share, or, on a store that has none, a page of
 * our own that says what this host shows.
 */
#include "config.h"

#include "storaged.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

#define PAGE 4096
#define EPOCH_SHIFT 40	/* more objects than a log will ever have */

/* One writer, and nobody else can become one: seals outlast a descriptor's way to another process. */
static int page_make(struct storaged *sd, struct og_error *err)
{
	int rc = og_memfd_new("og-shown", &sd->page_fd, err);
	void *p;

	if (rc < 0)
		return rc;
	if (ftruncate(sd->page_fd, PAGE) < 0)
		return og_error_sys(err, errno, "the page of what is shown");
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, sd->page_fd, 0);
	if (p == MAP_FAILED)
		return og_error_sys(err, errno, "mapping the page of what is shown");
	sd->page = p;
	if (fcntl(sd->page_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return og_error_sys(err, errno, "sealing the page of what is shown");
	return 0;
}

void bell_free(struct storaged *sd)
{
	if (sd->page)
		munmap(sd->page, PAGE);
	sd->page = NULL;
	og_fd_close(&sd->page_fd);
}

uint64_t bell_value(const struct storaged *sd)
{
	if (og_journal_bell_fd(sd->journal) >= 0)
		return og_journal_bell_value(sd->journal);
	return sd->epoch << EPOCH_SHIFT | og_journal_state(sd->journal)->seq;
}

void bell_publish(struct storaged *sd)
{
	if (sd->page)
		__atomic_store_n(sd->page, sd->journal ? bell_value(sd) : UINT64_MAX, __ATOMIC_RELEASE);
}

void bell_opened(struct storaged *sd)
{
	struct og_error err = { 0 };

	/* What workers remember of a graph that was here before means nothing now. */
	sd->epoch++;
	/* Without it workers ask each time. */
	if (!sd->page && !sd->direct && og_journal_bell_fd(sd->journal) < 0 && page_make(sd, &err) < 0) {
		og_log(OG_LOG_WARN, "bell", "why=\"%s\"", err.message);
		bell_free(sd);
	}
	bell_publish(sd);
	for (struct peer *p = sd->peers; p; p = p->next)
		peer_send_bell(p);
}

void peer_send_bell(struct peer *p)
{
	struct storaged *sd = p->sd;
	struct og_error err = { 0 };
	struct og_buf b = { 0 };
	bool shared;
	int fd;

	if (p->role == OG_ROLE_BUILDER || p->bell_sent || !sd->journal || og_chan_state(p->chan) != OG_IPC_RUNNING)
		return;
	fd = og_journal_bell_fd(sd->journal);
	shared = fd >= 0;
	og_put_u8(&b, shared ? OG_BELL_ALL : OG_BELL_HOST);
	if (!shared)
		fd = sd->page_fd;
	if (fd >= 0 && !b.failed && og_chan_send(p->chan, OG_IPC_BELL, &b, fd, &err) == 0)
		p->bell_sent = true;
	og_buf_fini(&b);
}
