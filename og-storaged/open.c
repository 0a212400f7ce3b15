/* Opening the store: a directory, or a bucket with what leads to it; and the paths that stay open to this process for that. */
#include "config.h"

#include "storaged.h"

#include <libgen.h>
#include <nss.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

#include "net/http_client.h"
#include "proc/secrets.h"
#include "store/dir.h"
#include "store/s3.h"

#define IO_THREADS 3u
/*
 * Somebody waits for the answer of what is read: rather an error in time than an answer too late. A put under a condition is made once, and repeated by
 * the journal until it is known what became of it, whoever has gone meanwhile. Segments and checkpoints took long to make, and get the store's 180 s.
 */
#define PATIENCE_MS 30000u

/* A secret, or one of the few variables that og-master hands on. */
static int lookup(void *arg, const char *name, char *out, size_t size, struct og_error *err)
{
	struct storaged *sd = arg;
	char key[64];
	const char *value;
	int rc = og_secrets_get(sd->child.secrets_fd, name, out, size, err);

	if (rc != OG_ERR_NOT_FOUND)
		return rc;
	snprintf(key, sizeof(key), "env.%s", name);
	value = og_child_setting(&sd->child, key);
	if (!value || !*value)
		return rc;
	if (strlen(value) >= size)
		return og_error_set(err, OG_ERR_TOO_LARGE, "%s is too long", name);
	strcpy(out, value);
	return 0;
}

static void add_path(struct storaged *sd, const char *path, enum og_path_access access)
{
	if (path && sd->npaths < OG_COUNT(sd->paths))
		sd->paths[sd->npaths++] = (struct og_lock_path){ path, access };
}

/* The folder too: such files are replaced by renaming. */
static void add_folder_of(struct storaged *sd, const char *path)
{
	char *copy = path && sd->npath_texts < OG_COUNT(sd->path_texts) ? strdup(path) : NULL;

	if (!copy)
		return;
	sd->path_texts[sd->npath_texts++] = copy;
	add_path(sd, dirname(copy), OG_PATH_READ);
}

/* Where names and certificates are looked up while we run, wherever a distribution keeps them. */
static void add_network_paths(struct storaged *sd, const struct og_aws_settings *s)
{
	static const char *const paths[] = {
		"/etc", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/usr/lib/ssl", "/usr/share/pki",
		"/var/lib/ca-certificates", "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager",
	};

	for (size_t i = 0; i < OG_COUNT(paths); i++)
		add_path(sd, paths[i], OG_PATH_READ);
	add_folder_of(sd, s->ca_bundle);
	add_folder_of(sd, s->ca_file);
	add_folder_of(sd, s->container_token_file);
	for (size_t i = 0; og_store_s3_file(sd->store, i); i++)
		add_folder_of(sd, og_store_s3_file(sd->store, i));
	if (s->ca_dir && (sd->path_texts[sd->npath_texts] = strdup(s->ca_dir)))
		add_path(sd, sd->path_texts[sd->npath_texts++], OG_PATH_READ);
}

static int open_s3(struct storaged *sd, struct og_error *err)
{
	struct og_aws_settings settings;
	struct og_store_s3_config cfg = { .uri = sd->uri, .base = sd->child.base, .settings = &settings, .patience_ms = PATIENCE_MS };
	int rc;

	if ((rc = og_net_global_init(err)) < 0 || (rc = og_aws_settings_load(&settings, lookup, sd, err)) < 0)
		return rc;
	/* The C library would load other modules when it first looks up a name; the filter does not let it. */
	if (__nss_configure_lookup("hosts", "files dns") < 0)
		rc = og_error_set(err, OG_ERR_IO, "name service: files and dns cannot be chosen");
	if (rc == 0) {
		sd->store = og_store_s3_new(&cfg, err);
		if (sd->store)
			add_network_paths(sd, &settings);
		else
			rc = err->code;
	}
	og_aws_settings_fini(&settings);
	return rc;
}

static int open_directory(struct storaged *sd, struct og_error *err)
{
	const char *create = og_child_setting(&sd->child, "create");
	struct og_store_dir_config cfg = { .path = sd->path, .base = sd->child.base, .threads = IO_THREADS, .create = create && *create == '1' };
	struct og_error e = { 0 };

	sd->store = og_store_dir_new(&cfg, err);
	if (sd->store)
		return 0;
	if (err->code == OG_ERR_NOT_FOUND) {
		og_error_set(&e, OG_ERR_NOT_FOUND, "graph not found at '%s'", sd->uri);
		*err = e;
	}
	return err->code;
}

/* Direct mode: a store that cannot be opened is the answer to the first request, not the end. */
static int answer_later(struct storaged *sd, int rc, struct og_error *err)
{
	if (rc == 0 || !sd->direct)
		return rc;
	sd->open_error = *err;
	og_error_clear(err);
	return 0;
}

bool store_is_s3(const struct storaged *sd)
{
	return strncasecmp(sd->uri, "s3://", 5) == 0;
}

int store_prepare(struct storaged *sd, struct og_error *err)
{
	if (store_is_s3(sd)) {
		add_path(sd, segments_folder(sd), OG_PATH_WRITE);
		return answer_later(sd, open_s3(sd, err), err);
	}
	if (strstr(sd->uri, "://"))
		return og_error_set(err, OG_ERR_UNSUPPORTED, "%s: a graph is a local path or s3://bucket/prefix", sd->uri);
	/* The folder of a graph is made before the paths are fixed. */
	if (og_child_setting(&sd->child, "create"))
		(void)mkdir(sd->path, 0755);
	add_path(sd, sd->path, OG_PATH_WRITE);
	return 0;
}

/* A directory needs none. */
int store_lock_ports(struct storaged *sd, struct og_error *err)
{
	uint16_t ports[16];
	size_t n = sd->store && store_is_s3(sd) ? og_store_s3_ports(sd->store, ports, OG_COUNT(ports)) : 0;

	return og_lock_ports(ports, n, &sd->held, err);
}

int store_open(struct storaged *sd, struct og_error *err)
{
	int rc = store_is_s3(sd) ? 0 : answer_later(sd, open_directory(sd, err), err);

	return rc < 0 || !sd->store ? rc : segments_open(sd, err);
}
