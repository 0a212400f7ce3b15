/* Which source of credentials is configured. Apart from what fetches keys, so that a program without network can ask this, too. */
#include "config.h"

#include "aws/creds_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "aws/process.h"
#include "aws/profile.h"

void creds_wipe(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void creds_sources_fini(struct og_aws_creds *c)
{
	for (size_t i = 0; i < c->nchain; i++) {
		struct creds_source *s = &c->chain[i];

		creds_wipe(&s->id);
		creds_wipe(&s->secret);
		creds_wipe(&s->token);
		creds_wipe(&s->role_arn);
		creds_wipe(&s->session);
		creds_wipe(&s->external_id);
		creds_wipe(&s->duration);
		creds_wipe(&s->token_file);
	}
	c->nchain = 0;
}

static int keep(char **out, const char *s, struct og_error *err)
{
	*out = NULL;
	if (!s)
		return 0;
	*out = strdup(s);
	return *out ? 0 : og_error_nomem(err);
}

static struct creds_source *push(struct og_aws_creds *c, enum creds_kind kind)
{
	struct creds_source *s = &c->chain[c->nchain++];

	s->kind = kind;
	return s;
}

static int push_static(struct og_aws_creds *c, const char *id, const char *secret, const char *token, struct og_error *err)
{
	struct creds_source *s = push(c, CREDS_STATIC);
	int rc;

	if ((rc = keep(&s->id, id, err)) < 0 || (rc = keep(&s->secret, secret, err)) < 0)
		return rc;
	return keep(&s->token, token, err);
}

/* ---- variables ---- */

static int from_variables(struct og_aws_creds *c, struct og_error *err)
{
	const struct og_aws_settings *s = c->settings;

	if (!s->access_key_id || !s->secret_access_key)
		return og_error_set(err, OG_ERR_BAD, "%s is set, but %s is not",
				    s->access_key_id ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
				    s->access_key_id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
	c->name = "environment";
	return push_static(c, s->access_key_id, s->secret_access_key, s->session_token, err);
}

static int push_web_identity(struct og_aws_creds *c, const char *arn, const char *session, const char *file, const char *duration,
			     struct og_error *err)
{
	struct creds_source *s = push(c, CREDS_WEB_IDENTITY);
	int rc;

	if ((rc = keep(&s->role_arn, arn, err)) < 0 || (rc = keep(&s->session, session ? session : "WebIdentitySession", err)) < 0 ||
	    (rc = keep(&s->token_file, file, err)) < 0)
		return rc;
	return keep(&s->duration, duration, err);
}

static bool has_container(const struct og_aws_settings *s)
{
	return s->container_relative_uri || s->container_full_uri;
}

/* ---- shared files ---- */

static int unsupported(const char *profile, const char *key, struct og_error *err)
{
	return og_error_set(err, OG_ERR_UNSUPPORTED, "profile '%s' needs %s, which is not supported", profile, key);
}

static int check_supported(const struct og_aws_profiles *p, const char *profile, struct og_error *err)
{
	const char *sso = og_aws_profile_with(p, profile, "sso_");

	if (sso)
		return unsupported(profile, sso, err);
	return og_aws_profile_get(p, profile, "mfa_serial") ? unsupported(profile, "mfa_serial", err) : 0;
}

static int push_profile_keys(struct og_aws_creds *c, const struct og_aws_profiles *p, const char *profile, struct og_error *err)
{
	const char *id = og_aws_profile_get(p, profile, "aws_access_key_id");
	const char *secret = og_aws_profile_get(p, profile, "aws_secret_access_key");

	if (!id || !secret)
		return og_error_set(err, OG_ERR_BAD, "profile '%s' has no %s", profile, id ? "aws_secret_access_key" : "aws_access_key_id");
	return push_static(c, id, secret, og_aws_profile_get(p, profile, "aws_session_token"), err);
}

/* What og-cli had of the command, for this profile alone. */
static int push_process(struct og_aws_creds *c, const char *profile, const char *command, struct og_error *err)
{
	struct og_aws_process_keys k;
	int rc;

	if (c->find_process) {
		rc = keep(&c->process_profile, profile, err);
		if (rc == 0)
			rc = keep(&c->process_command, command, err);
		return rc < 0 ? rc : push_static(c, "", "", NULL, err);
	}
	if (!c->settings->process_keys)
		return og_error_set(err, OG_ERR_UNSUPPORTED,
				    "profile '%s' needs credential_process, which only the command line runs: give the server keys, a "
				    "role or a web identity",
				    profile);
	rc = og_aws_process_keys_read(c->settings->process_keys, profile, &k, err);
	if (rc == 0)
		rc = push_static(c, k.id, k.secret, k.token, err);
	og_aws_process_keys_fini(&k);
	return rc;
}

/* Keys, or the command that prints them. */
static int push_profile_end(struct og_aws_creds *c, const struct og_aws_profiles *p, const char *profile, struct og_error *err)
{
	const char *command = og_aws_profile_get(p, profile, "credential_process");

	if (!command || og_aws_profile_get(p, profile, "aws_access_key_id"))
		return push_profile_keys(c, p, profile, err);
	return push_process(c, profile, command, err);
}

static int push_named_source(struct og_aws_creds *c, const char *profile, const char *source, struct og_error *err)
{
	if (strcmp(source, "Environment") == 0) {
		if (!c->settings->access_key_id && !c->settings->secret_access_key)
			return og_error_set(err, OG_ERR_BAD, "profile '%s': credential_source is Environment, but AWS_ACCESS_KEY_ID is not set",
					    profile);
		return from_variables(c, err);
	}
	if (strcmp(source, "Ec2InstanceMetadata") == 0) {
		if (c->metadata_off)
			return og_error_set(err, OG_ERR_BAD,
					    "profile '%s': credential_source is Ec2InstanceMetadata, but AWS_EC2_METADATA_DISABLED is set",
					    profile);
		push(c, CREDS_METADATA);
		return 0;
	}
	if (strcmp(source, "EcsContainer") == 0) {
		push(c, CREDS_CONTAINER);
		return 0;
	}
	return og_error_set(err, OG_ERR_BAD, "profile '%s': credential_source '%s' is not Environment, Ec2InstanceMetadata or EcsContainer",
			    profile, source);
}

static int push_role(struct og_aws_creds *c, const struct og_aws_profiles *p, const char *profile, const char *arn, struct og_error *err)
{
	const char *session = og_aws_profile_get(p, profile, "role_session_name");
	struct creds_source *s = push(c, CREDS_ROLE);
	int rc;

	if ((rc = keep(&s->role_arn, arn, err)) < 0 || (rc = keep(&s->session, session ? session : "omnigraph", err)) < 0 ||
	    (rc = keep(&s->external_id, og_aws_profile_get(p, profile, "external_id"), err)) < 0)
		return rc;
	return keep(&s->duration, og_aws_profile_get(p, profile, "duration_seconds"), err);
}

static int push_role_source(struct og_aws_creds *c, const struct og_aws_profiles *p, const char *profile, const char **via, struct og_error *err)
{
	const char *arn = og_aws_profile_get(p, profile, "role_arn");
	const char *named = og_aws_profile_get(p, profile, "credential_source");
	const char *file = og_aws_profile_get(p, profile, "web_identity_token_file");
	int rc;

	*via = og_aws_profile_get(p, profile, "source_profile");
	if (!!*via + !!named + !!file != 1)
		return og_error_set(err, OG_ERR_BAD,
				    "profile '%s': role_arn needs exactly one of source_profile, credential_source and web_identity_token_file",
				    profile);
	if (file)
		return push_web_identity(c, arn, og_aws_profile_get(p, profile, "role_session_name"), file,
					 og_aws_profile_get(p, profile, "duration_seconds"), err);
	if ((rc = push_role(c, p, profile, arn, err)) < 0)
		return rc;
	if (named)
		return push_named_source(c, profile, named, err);
	if (!og_aws_profile_known(p, *via))
		return og_error_set(err, OG_ERR_BAD, "profile '%s': there is no source_profile '%s'", profile, *via);
	return 0;
}

/* Follows source_profile until there are keys. */
static int push_profile(struct og_aws_creds *c, const struct og_aws_profiles *p, const char *profile, struct og_error *err)
{
	const char *seen[CREDS_CHAIN_MAX], *via;
	size_t nseen = 0;
	int rc;

	for (;; profile = via) {
		for (size_t i = 0; i < nseen; i++)
			if (strcmp(seen[i], profile) == 0)
				return og_error_set(err, OG_ERR_BAD, "profile '%s': source_profile goes in a circle", profile);
		if (nseen == CREDS_CHAIN_MAX - 1)
			return og_error_set(err, OG_ERR_BAD, "profile '%s': more than %d profiles in a row", profile, CREDS_CHAIN_MAX - 1);
		seen[nseen++] = profile;
		if ((rc = check_supported(p, profile, err)) < 0)
			return rc;
		if (!og_aws_profile_get(p, profile, "role_arn"))
			return push_profile_end(c, p, profile, err);
		if ((rc = push_role_source(c, p, profile, &via, err)) < 0 || !via)
			return rc;
		if (strcmp(via, profile) == 0)	/* its own keys */
			return push_profile_keys(c, p, profile, err);
	}
}

static int from_files(struct og_aws_creds *c, const struct og_aws_profiles *p, const char *profile, struct og_error *err)
{
	static const char *const keys[] = {
		"aws_access_key_id", "aws_secret_access_key", "role_arn", "credential_process",
	};

	if (!og_aws_profile_known(p, profile)) {
		if (!c->settings->profile)
			return 0;
		return og_error_set(err, OG_ERR_BAD, "there is no profile '%s' in the shared files", profile);
	}
	for (size_t i = 0; i < OG_COUNT(keys) && !c->from_files; i++)
		c->from_files = og_aws_profile_get(p, profile, keys[i]) != NULL;
	if (!c->from_files && !og_aws_profile_with(p, profile, "sso_"))
		return 0;
	c->name = "shared files";
	return push_profile(c, p, profile, err);
}

static int name_file(const char *set, const char *home, const char *otherwise, char **out, struct og_error *err)
{
	if (set)
		return keep(out, set, err);
	*out = NULL;
	if (home && asprintf(out, "%s/%s", home, otherwise) < 0)
		return og_error_nomem(err);
	return 0;
}

static int read_files(struct og_aws_creds *c, struct og_aws_profiles *p, struct og_error *err)
{
	const struct og_aws_settings *s = c->settings;
	int rc;

	if ((rc = name_file(s->config_file, s->home, ".aws/config", &c->files[0], err)) < 0 ||
	    (rc = name_file(s->credentials_file, s->home, ".aws/credentials", &c->files[1], err)) < 0)
		return rc;
	return og_aws_profiles_read(p, c->files[0], c->files[1], err);
}

/* ---- the choice ---- */

static int read_switches(struct og_aws_creds *c, bool *skip, struct og_error *err)
{
	const struct og_aws_settings *s = c->settings;
	const char *mode = s->metadata_mode;
	int rc;

	if ((rc = og_aws_bool("AWS_SKIP_SIGNATURE", s->skip_signature, skip, err)) < 0 ||
	    (rc = og_aws_bool("AWS_EC2_METADATA_DISABLED", s->metadata_disabled, &c->metadata_off, err)) < 0 ||
	    (rc = og_aws_bool("AWS_IMDSV1_FALLBACK", s->metadata_v1, &c->metadata_v1, err)) < 0)
		return rc;
	if (mode && strcasecmp(mode, "IPv4") != 0 && strcasecmp(mode, "IPv6") != 0)
		return og_error_set(err, OG_ERR_BAD, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE: '%s' is neither IPv4 nor IPv6", mode);
	return 0;
}

static int choose(struct og_aws_creds *c, const struct og_aws_profiles *p, const char *profile, struct og_error *err)
{
	const struct og_aws_settings *s = c->settings;
	bool skip;
	int rc = read_switches(c, &skip, err);

	if (rc < 0)
		return rc;
	if (skip) {
		c->name = "none: requests are not signed";
		push(c, CREDS_ANONYMOUS);
		return 0;
	}
	if (s->access_key_id || s->secret_access_key)
		return from_variables(c, err);
	if ((rc = from_files(c, p, profile, err)) < 0 || c->nchain)
		return rc;
	if (s->web_identity_token_file && s->role_arn) {
		c->name = "web identity";
		return push_web_identity(c, s->role_arn, s->role_session_name, s->web_identity_token_file, NULL, err);
	}
	if (has_container(s)) {
		c->name = "container";
		push(c, CREDS_CONTAINER);
		return 0;
	}
	if (c->metadata_off)
		return og_error_set(err, OG_ERR_DENIED,
				    "no credentials found: neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, nor profile '%s' in the shared "
				    "files, nor a web identity, nor a container's service; the metadata service is disabled",
				    profile);
	c->name = "instance metadata";
	push(c, CREDS_METADATA);
	return 0;
}

int creds_choose(struct og_aws_creds *c, struct og_error *err)
{
	const struct og_aws_settings *s = c->settings;
	const char *profile = s->profile ? s->profile : "default", *region = s->region;
	struct og_aws_profiles files = { 0 };
	int rc = read_files(c, &files, err);

	if (rc < 0)
		return rc;
	if (!region)
		region = og_aws_profile_get(&files, profile, "region");
	if (region && strlen(region) >= sizeof(c->region))
		rc = og_error_set(err, OG_ERR_BAD, "'%s' is no region", region);
	else if (region)
		strcpy(c->region, region);
	if (rc == 0)
		rc = choose(c, &files, profile, err);
	og_aws_profiles_fini(&files);
	return rc;
}

int og_aws_process_needed(const struct og_aws_settings *s, char **profile, char **command, struct og_error *err)
{
	struct og_aws_creds c = { .settings = s, .find_process = true };
	int rc = creds_choose(&c, err);

	*profile = c.process_profile;
	*command = c.process_command;
	creds_sources_fini(&c);
	free(c.files[0]);
	free(c.files[1]);
	if (rc < 0) {
		free(*profile);
		free(*command);
		*profile = *command = NULL;
	}
	return rc;
}
