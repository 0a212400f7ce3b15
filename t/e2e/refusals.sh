#!/bin/bash
# What cannot be served is told on stderr, with exit code 1 and nothing on stdout; nothing stays behind.
. "${srcdir:-.}/t/e2e/lib.sh"

# refuse TEXT ARGUMENT...
refuse() {
	local text=$1 rc
	shift
	timeout 30 "$master" "$@" --admin-socket "$tmp/admin2" >"$tmp/refused.out" 2>"$tmp/refused" </dev/null
	rc=$?
	[ $rc -eq 1 ] || fail "exit code $rc instead of 1: $*: $(cat "$tmp/refused")"
	grep -q -- "^Error: .*$text" "$tmp/refused" || fail "no '$text': $*: $(cat "$tmp/refused")"
	[ "$(grep -c '^Error: ' "$tmp/refused")" -eq 1 ] || fail "more than one error: $*: $(cat "$tmp/refused")"
	[ ! -s "$tmp/refused.out" ] || fail "stdout: $(cat "$tmp/refused.out")"
}
open="--unauthenticated --bind 127.0.0.1:0 --workers 1"

new_graph "$tmp/g"

# --- no graph there
refuse "not found at '$tmp/none'" "$tmp/none" $open
mkdir "$tmp/empty"
refuse "not found at '$tmp/empty'" "$tmp/empty" $open
[ -z "$(ls -A "$tmp/empty")" ] || fail "a refused server wrote: $(ls -A "$tmp/empty")"
refuse "$tmp/schema.pg" "$tmp/schema.pg" $open
unset "${!AWS_@}"
export AWS_CONFIG_FILE=/none AWS_SHARED_CREDENTIALS_FILE=/none
AWS_EC2_METADATA_DISABLED=true refuse 'no credentials found' s3://bucket/prefix $open
AWS_ACCESS_KEY_ID=x refuse 'AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not' s3://bucket/prefix $open
AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=y AWS_ENDPOINT_URL=ftp://h refuse "'ftp://h' is not an http or https URL" s3://bucket/prefix $open
refuse "missing s3 bucket in 's3://" s3:///prefix $open
refuse 'gs://b/x' gs://b/x $open
refuse 'file:// URI needs an absolute path' file://g $open
refuse 'a local path, file://... or s3://' http://127.0.0.1/g $open

# --- not open to everyone unless told so
refuse 'server has no bearer tokens and no policy file configured.*--unauthenticated' "$tmp/g" --bind 127.0.0.1:0
OMNIGRAPH_UNAUTHENTICATED=false refuse 'server has no bearer tokens' "$tmp/g" --bind 127.0.0.1:0
OMNIGRAPH_SERVER_BEARER_TOKENS_JSON='{"a":"b"}' refuse 'bearer tokens are not available in this version' "$tmp/g" $open

# --- a port that is taken
serve "$tmp/g" --workers 1
taken=${url#http://}
refuse 'Address already in use (os error 98)' "$tmp/g" --unauthenticated --bind "$taken" --workers 1
expect 200 GET /healthz
stop

# --- what init left beside the graph does not stand in the way; a broken one is told with its place
[ -e "$tmp/omnigraph.yaml" ] || fail "init leaves no omnigraph.yaml"
serve "$tmp/g" --workers 1
stop
printf 'server:\n  bind: [1, 2]\n' >"$tmp/omnigraph.yaml"
refuse 'omnigraph.yaml: server.bind: invalid type.*at line 2 column 9' "$tmp/g" $open
printf 'server: {\n' >"$tmp/omnigraph.yaml"
refuse 'omnigraph.yaml: .*line' "$tmp/g" $open
rm "$tmp/omnigraph.yaml"

# --- usage
"$master" --bind >"$tmp/out" 2>"$tmp/err"
[ $? -eq 2 ] || fail "a missing value is no usage error"
"$master" "$tmp/g" "$tmp/g" >"$tmp/out" 2>"$tmp/err"
[ $? -eq 2 ] || fail "a second URI is no usage error"
[ "$("$master" --version | wc -l)" -eq 1 ] || fail "--version"
"$master" --help >/dev/null || fail "--help"

# --- a graph in a folder that may not be written: read, not written
if [ "$(id -u)" -eq 0 ]; then
	mkdir "$tmp/ro"
	undo() { umount "$tmp/ro" 2>/dev/null; }
	if mount --bind "$tmp/g" "$tmp/ro" 2>/dev/null && mount -o remount,ro,bind "$tmp/ro" 2>/dev/null; then
		serve "$tmp/ro" --workers 1
		expect 200 POST /query "$all_people"
		request POST /mutate "$(add_person nobody)"
		case $code in 403 | 503 | 500) ;; *) fail "a write to a read-only folder: $code $(answer)" ;; esac
		grep -qi 'read-only' "$tmp/body" || fail "no reason: $(answer)"
		expect 200 POST /query "$all_people"
		stop
	else
		echo "NOT TESTED: a read-only mount is not possible here"
	fi
else
	undo() { chmod -R u+w "$tmp/g"; }
	chmod -w "$tmp/g" "$tmp/g/format.json"
	serve "$tmp/g" --workers 1
	request POST /mutate "$(add_person nobody)"
	[ "$code" != 200 ] || fail "written to a folder without the right to"
	expect 200 POST /query "$all_people"
	stop
fi
echo "all good"
