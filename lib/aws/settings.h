/*
 * The variables that lead to a store and to credentials, as a struct of strings. The library never looks into the
 * environment: the program says where each comes from.
 * Memory: values are on the heap and wiped by og_aws_settings_fini. Unset and empty are both NULL.
 */
#ifndef OG_AWS_SETTINGS_H
#define OG_AWS_SETTINGS_H

#include <stdbool.h>

#include "base/error.h"

/* member, names: the first that is set counts */
#define OG_AWS_SETTINGS(S) \
	S(access_key_id, "AWS_ACCESS_KEY_ID") \
	S(secret_access_key, "AWS_SECRET_ACCESS_KEY") \
	S(session_token, "AWS_SESSION_TOKEN", "AWS_TOKEN") \
	S(region, "AWS_REGION", "AWS_DEFAULT_REGION") \
	S(endpoint_s3, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT") \
	S(endpoint_sts, "AWS_ENDPOINT_URL_STS") \
	S(ignore_endpoints, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") \
	S(allow_http, "AWS_ALLOW_HTTP") \
	S(allow_invalid_certificates, "AWS_ALLOW_INVALID_CERTIFICATES") \
	S(force_path_style, "AWS_S3_FORCE_PATH_STYLE") \
	S(virtual_hosted, "AWS_VIRTUAL_HOSTED_STYLE_REQUEST") \
	S(unsigned_payload, "AWS_UNSIGNED_PAYLOAD") \
	S(skip_signature, "AWS_SKIP_SIGNATURE") \
	S(profile, "AWS_PROFILE") \
	S(config_file, "AWS_CONFIG_FILE") \
	S(credentials_file, "AWS_SHARED_CREDENTIALS_FILE") \
	S(process_keys, "AWS_CREDENTIAL_PROCESS_KEYS") /* og-cli's word for its og-storaged: aws/process.h */ \
	S(role_arn, "AWS_ROLE_ARN") \
	S(role_session_name, "AWS_ROLE_SESSION_NAME") \
	S(web_identity_token_file, "AWS_WEB_IDENTITY_TOKEN_FILE") \
	S(container_relative_uri, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") \
	S(container_full_uri, "AWS_CONTAINER_CREDENTIALS_FULL_URI") \
	S(container_token, "AWS_CONTAINER_AUTHORIZATION_TOKEN") \
	S(container_token_file, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") \
	S(metadata_disabled, "AWS_EC2_METADATA_DISABLED") \
	S(metadata_endpoint, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_METADATA_ENDPOINT") \
	S(metadata_mode, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE") \
	S(metadata_v1, "AWS_IMDSV1_FALLBACK") \
	S(ca_bundle, "AWS_CA_BUNDLE") \
	S(ca_file, "SSL_CERT_FILE") \
	S(ca_dir, "SSL_CERT_DIR") \
	S(https_proxy, "https_proxy", "HTTPS_PROXY") \
	S(http_proxy, "http_proxy") \
	S(http_proxy_upper, "HTTP_PROXY") /* under CGI a header field of the client's */ \
	S(all_proxy, "all_proxy", "ALL_PROXY") \
	S(no_proxy, "no_proxy", "NO_PROXY") \
	S(request_method, "REQUEST_METHOD") \
	S(home, "HOME")

struct og_aws_settings {
#define OG_AWS_MEMBER(member, ...) char *member;
	OG_AWS_SETTINGS(OG_AWS_MEMBER)
#undef OG_AWS_MEMBER
};

/* The value of a variable copied into out (NUL-terminated, at most size - 1 bytes). OG_ERR_NOT_FOUND: not set. */
typedef int (*og_aws_lookup)(void *arg, const char *name, char *out, size_t size, struct og_error *err);

/* Fills *s by asking for every name. Control characters in a value: OG_ERR_BAD, naming the variable. */
int og_aws_settings_load(struct og_aws_settings *s, og_aws_lookup lookup, void *arg, struct og_error *err) OG_MUST_CHECK;
void og_aws_settings_fini(struct og_aws_settings *s);

/* The proxy for http URLs, or NULL. */
const char *og_aws_http_proxy(const struct og_aws_settings *s);

/* Switches of ours are on for 1 true TRUE True yes YES on ON, else off. */
bool og_aws_switch(const char *value);
/* Those of AWS: true or false in any of its spellings, off when unset; another value is OG_ERR_BAD, naming the variable. */
int og_aws_bool(const char *name, const char *value, bool *out, struct og_error *err) OG_MUST_CHECK;

#endif
