#!/bin/bash
# Graphs on a real S3 server, stock Ceph on 127.0.0.1: made, loaded, served by two servers at once, through kills of og-storaged and of the store.
# What one server acknowledges the other shows; a write costs one request, a read at most one; no credential is where it need not be.
s3=$(cd "${srcdir:-.}/t" && pwd)/s3-server
. "${srcdir:-.}/t/e2e/lib.sh"

rc=0
unset "${!AWS_@}"
"$s3" start --stock --port any --dir "$tmp/s3" 2>"$tmp/s3.log" || rc=$?
[ $rc != 77 ] || skip "no S3 server can be had here; servers on S3 are NOT tested: $(tail -n 1 "$tmp/s3.log")"
[ $rc = 0 ] || fail "s3-server: $(cat "$tmp/s3.log")"
server_b=
proxy=
undo() {
	[ -z "$server_b" ] || kill -9 "$server_b" 2>/dev/null
	[ -z "$proxy" ] || kill "$proxy" 2>/dev/null
	"$s3" stop --dir "$tmp/s3" >/dev/null 2>&1
}
eval "$("$s3" env --dir "$tmp/s3")"
# Either name must do; the other one is used further down.
unset AWS_ENDPOINT_URL
g=s3://$OMNIGRAPH_S3_TEST_BUCKET/some/where
here=$(cd "$(dirname "$s3")" && pwd)
cli_run() { "$cli" "$@" >"$tmp/cli" 2>&1 || fail "og-cli $*: $(cat "$tmp/cli")"; }
cli_fails() {
	local text=$1
	shift
	! "$cli" "$@" >"$tmp/cli" 2>&1 || fail "og-cli $* did not fail"
	grep -qF -- "$text" "$tmp/cli" || fail "no '$text': $(cat "$tmp/cli")"
}
find='query find($n: String) { match { $p: Person { name: $n } } return { $p.name } }'

# --- the command line
cli_fails "graph not found at '$g'" snapshot "$g"
new_graph "$g"
cli_fails 'already initialized' init --schema "$tmp/schema.pg" "$g"
cat >"$tmp/rows.jsonl" <<'ROWS'
{"type":"Person","data":{"name":"ada","age":36}}
{"type":"Person","data":{"name":"bob"}}
{"edge":"Knows","from":"ada","to":"bob","data":{"since":7}}
ROWS
cli_run load --data "$tmp/rows.jsonl" --mode overwrite "$g"
cli_run mutate --uri "$g" -e 'query add($n: String) { insert Person { name: $n } }' --params '{"n":"cy"}'
mv omnigraph.yaml "$tmp/made-by-init.yaml"
(
	export AWS_ENDPOINT_URL=$AWS_ENDPOINT_URL_S3
	unset AWS_ENDPOINT_URL_S3
	cli_run query --uri "$g" -e "$find" --params '{"n":"cy"}' --json
	grep -q '"cy"' "$tmp/cli" || fail "cy is not there: $(cat "$tmp/cli")"
) || exit 1
AWS_SECRET_ACCESS_KEY=wrong cli_fails 'SignatureDoesNotMatch' snapshot "$g"
cli_fails "there is no bucket 'omnigraph-nowhere'" init --schema "$tmp/schema.pg" s3://omnigraph-nowhere/g
# Credentials from the file that the config names.
printf 'AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY="%s"\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" >"$tmp/env"
printf 'auth:\n  env_file: env\ngraphs:\n  far:\n    uri: %s\n' "$g" >"$tmp/omnigraph.yaml"
(
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	cli_run snapshot --config "$tmp/omnigraph.yaml" --target far
) || exit 1
rm "$tmp/omnigraph.yaml"
# And from the shared file, in the home folder.
mkdir -p "$tmp/home/.aws"
printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" >"$tmp/home/.aws/credentials"
(
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	export HOME=$tmp/home
	cli_run snapshot "$g"
) || exit 1
verified "$g"

# --- TLS, by a name: certificates are checked, and read while og-storaged is locked down
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$tmp/key.pem" -out "$tmp/cert.pem" -days 2 -subj /CN=localhost \
	-addext subjectAltName=DNS:localhost >"$tmp/openssl" 2>&1 || fail "openssl: $(cat "$tmp/openssl")"
python3 "$here/e2e/tlsproxy.py" "$tmp/cert.pem" "$tmp/key.pem" "${AWS_ENDPOINT_URL_S3##*:}" >"$tmp/proxy" &
proxy=$!
until_ok 10 test -s "$tmp/proxy" || fail "the TLS proxy does not start"
(
	export AWS_ENDPOINT_URL_S3=https://localhost:$(cat "$tmp/proxy")
	cli_fails 'certificate' snapshot "$g"
	export AWS_CA_BUNDLE=$tmp/cert.pem
	cli_run snapshot "$g"
	AWS_UNSIGNED_PAYLOAD=true cli_run mutate --uri "$g" -e 'query add($n: String) { insert Person { name: $n } }' --params '{"n":"tls"}'
	AWS_ENDPOINT_URL_S3=https://127.0.0.1:$(cat "$tmp/proxy") cli_fails 'certificate' snapshot "$g"
	unset AWS_CA_BUNDLE
	SSL_CERT_FILE=$tmp/cert.pem serve "$g" --workers 1
	expect 200 POST /query "$all_people"
	has '"tls"'
	stop
) || exit 1
kill "$proxy"
proxy=

# --- two servers
"$master" "$g" --workers 2 --unauthenticated --bind 127.0.0.1:0 --admin-socket "$tmp/admin.b" >"$tmp/out.b" 2>"$tmp/err.b" </dev/null &
server_b=$!
until_ok 30 grep -q OMNIGRAPH_LISTEN_ADDR "$tmp/out.b" || fail "no listen line of the second server: $(cat "$tmp/err.b")"
url_b=http://$(sed -n 's/^OMNIGRAPH_LISTEN_ADDR=//p' "$tmp/out.b")
serve "$g" --workers 2 --poll-ms 600000
url_a=$url
for i in 1 2 3 4 5; do
	url=$url_a
	expect 200 POST /mutate "$(add_person "a-$i")"
	url=$url_b
	names | grep -qx "a-$i" || fail "the second server does not show a-$i: $(answer)"
	expect 200 POST /mutate "$(add_person "b-$i")"
	url=$url_a
	names | grep -qx "b-$i" || fail "the first server does not show b-$i: $(answer)"
done

# --- what requests cost: the numbers of the first server, which nobody else disturbs now, and which does not poll
count() { status | tr ',{}' '\n' | sed -n "s/.*\"store_$1\":\([0-9]*\).*/\1/p"; }
counts() { echo "$(count put_absent) $(($(count put) + $(count head) + $(count list))) $(count get)"; }
[ -n "$(count get)" ] || fail "no counters: $(status)"
before=($(counts))
for i in 1 2 3 4 5; do expect 200 POST /mutate "$(add_person "cost-$i")"; done
after=($(counts))
[ $((after[0] - before[0])) = 5 ] && [ "${after[1]}" = "${before[1]}" ] && [ "${after[2]}" = "${before[2]}" ] ||
	fail "5 writes cost ${before[*]} -> ${after[*]} (put_absent others get)"
before=($(counts))
for i in 1 2 3 4 5; do names >"$tmp/names" || fail "no rows"; done
after=($(counts))
[ $((after[2] - before[2])) -le 5 ] && [ "${after[0]} ${after[1]}" = "${before[0]} ${before[1]}" ] ||
	fail "5 reads cost ${before[*]} -> ${after[*]} (put_absent others get)"

# --- who holds credentials
for pid in $server $(children) $server_b; do
	! tr '\0' '\n' <"/proc/$pid/environ" | grep -q '^AWS_' || fail "process $pid has AWS_* in its environment"
done

# --- og-storaged killed, the store killed, under writers at both
start_writers a1 a2
url=$url_b
start_writers b1 b2
url=$url_a
for _ in 1 2 3; do
	until_ok 60 more_acked 20 || fail "no write gets through"
	pid=$(pid_of storaged)
	[ -z "$pid" ] || kill -9 "$pid"
	until_ok 60 more_acked 20 || fail "no write gets through"
	kill -9 "$(cat "$tmp/s3/run/rgw.pid")"
	"$s3" start --stock --dir "$tmp/s3" 2>>"$tmp/s3.log" || fail "the store does not start again: $(tail -n 3 "$tmp/s3.log")"
done
# One that stands still for a while.
kill -STOP "$(cat "$tmp/s3/run/osd.pid")"
sleep 3
kill -CONT "$(cat "$tmp/s3/run/osd.pid")"
until_ok 60 more_acked 20 || fail "no write gets through after the store stood still"
stop_writers
for url in "$url_a" "$url_b"; do
	until_ok 60 answers 200 POST /query "$all_people" || fail "no answer: $code $(answer)"
	none_lost
	cp "$tmp/have" "$tmp/have.${url##*:}"
done
cmp -s "$tmp/have.${url_a##*:}" "$tmp/have.${url_b##*:}" || fail "the two servers show different rows"
kill -TERM "$server_b"
wait "$server_b" || fail "the second server's exit code is not 0"
server_b=
url=$url_a
stop
cat "$tmp/err.b" >>"$tmp/err"
no_crash
! grep -qF "$AWS_SECRET_ACCESS_KEY" "$tmp/err" || fail "the secret is in the log"
verified "$g"
echo "all good, $(wc -l <"$tmp/want") writes"
