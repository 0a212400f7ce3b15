#!/bin/bash
# What users are told when the store is wrong: by the command line, by a server that starts, by one that runs; and that a running one
# goes on by itself when the cause has gone. Against a server that errs as it is told; s3.sh has a real one.
. "${srcdir:-.}/t/e2e/lib.sh"
. "$srcdir/t/e2e/clilib.sh"
. "$srcdir/t/e2e/fakelib.sh"

unset "${!AWS_@}" http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY
export AWS_ACCESS_KEY_ID=AKGOODKEY AWS_SECRET_ACCESS_KEY=the-secret-itself AWS_EC2_METADATA_DISABLED=true HOME=$tmp/home
mkdir -p "$tmp/home"
start_fake "$tmp/fake"
export AWS_ENDPOINT_URL_S3=http://127.0.0.1:$port
host=127.0.0.1:$port
g=s3://b/g
mode
new_graph "$g"
rm -f omnigraph.yaml

# --- what takes its time, in the background: said with how long it was tried
slow=
slow() {
	local name=$1
	shift
	(
		rc=0
		"$@" >"$tmp/slow.$name" 2>&1 </dev/null || rc=$?
		echo "exit $rc" >>"$tmp/slow.$name"
	) &
	slow="$slow $!"
}
slow refused env AWS_ENDPOINT_URL_S3=http://127.0.0.1:1 "$cli" snapshot "$g"
slow dns env AWS_ENDPOINT_URL_S3=http://no-such-host.invalid "$cli" snapshot "$g"
slow plain env AWS_ENDPOINT_URL_S3="https://$host" "$cli" snapshot "$g"
slow boot env AWS_ENDPOINT_URL_S3=http://127.0.0.1:1 "$master" "$g" --unauthenticated --bind 127.0.0.1:0 --admin-socket "$tmp/admin.slow" --workers 1

# --- configuration: no request is made
bad() {
	local text=$1
	shift
	env "$@" "$cli" snapshot "$g" >"$tmp/stdout" 2>"$tmp/stderr" && fail "$*: no failure"
	ran="with $*"
	err_has "$text"
}
mode
bad "failed to initialize s3 storage for 's3://b/g': AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not" AWS_SECRET_ACCESS_KEY=
bad "neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, nor profile 'default'" AWS_SECRET_ACCESS_KEY= AWS_ACCESS_KEY_ID=
bad "there is no profile 'nobody'" AWS_SECRET_ACCESS_KEY= AWS_ACCESS_KEY_ID= AWS_PROFILE=nobody
bad "AWS_ENDPOINT_URL_S3 (or AWS_ENDPOINT_URL): 'ftp://x' is not an http or https URL" AWS_ENDPOINT_URL_S3=ftp://x
bad "AWS_ALLOW_INVALID_CERTIFICATES: 'ja' is neither true nor false" AWS_ALLOW_INVALID_CERTIFICATES=ja
bad "'a b' is no region" "AWS_REGION=a b"
for uri in "s3://|missing s3 bucket in 's3://'" "s3:///x|missing s3 bucket in 's3:///x'" \
	"s3://b/a//c|invalid s3 object path for 's3://b/a//c': an empty segment" \
	"s3://b/../a|invalid s3 object path for 's3://b/../a': a segment that is '.' or '..'" \
	$'s3://b/a\tc|a control character' "s3://b%/c|'b%' is no name of a bucket"; do
	fails snapshot "${uri%%|*}"
	err_has "${uri##*|}"
done
[ ! -s "$tmp/fake/log" ] || fail "requests were made: $(cat "$tmp/fake/log")"

# --- the command line
# told MODE TEXT WORD...
told() {
	local m=$1 text=$2
	shift 2
	mode "$m"
	fails "$@"
	err_has "$text"
	! grep -q 'the-secret-itself\|Signature=' "$tmp/stderr" || fail "$ran: a secret: $(cat "$tmp/stderr")"
}
init=(init --schema "$tmp/schema.pg" s3://b/h)
add=(mutate --uri "$g" -e 'query add($n: String) { insert Person { name: $n } }' --params '{"n":"x"}')
log="'s3://b/g/log/"
told key=AKOTHER "storage read failed for 's3://b/g/format.json': HTTP 403 InvalidAccessKeyId: The AWS Access Key Id you provided does not exist in our records. (request id FAKE1) (key ...DKEY, from: environment)" snapshot "$g"
told key=AKOTHER "HTTP 403 InvalidAccessKeyId" "${init[@]}"
told expired "HTTP 400 ExpiredToken: The provided token has expired. (request id FAKE1) (key ...DKEY, from: environment)" snapshot "$g"
told missing "HTTP 404 NoSuchBucket: there is no bucket 'b' (request id FAKE1); create it at $host first" snapshot "$g"
told missing "HTTP 404 NoSuchBucket: there is no bucket 'b'" "${init[@]}"
told deny "HTTP 403 AccessDenied: Access Denied (request id FAKE1); s3:GetObject and s3:ListBucket are needed" snapshot "$g"
told deny-write "HTTP 403 AccessDenied: Access Denied (request id FAKE1); s3:PutObject is needed" "${init[@]}"
told deny-write "storage write_if_absent failed for $log" "${add[@]}"
told html "; the answer is a web page: is $host the endpoint of an S3 store?" snapshot "$g"
told html "; the answer is a web page: is $host the endpoint of an S3 store?" "${init[@]}"
told ignore "the object store behind 's3://b/h' ignores If-None-Match: concurrent writers would destroy each other's data" "${init[@]}"
told ignore-match "ignores If-Match" "${init[@]}"
told unsupported "the object store does not support conditional writes" "${init[@]}"
told "" "graph not found at 's3://b/h'" snapshot s3://b/h
# Reading needs no right to write.
mode deny-write
run 0 snapshot "$g"
# Refused stores are left as they were.
mode
curl -fsS "$AWS_ENDPOINT_URL_S3/b?list-type=2&prefix=h" >"$tmp/list" || fail "no list"
! grep -q '<Key>' "$tmp/list" || fail "something is left: $(cat "$tmp/list")"
# Another clock is put up with.
mode skew=10800
run 0 snapshot "$g"

# --- TLS
san() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$tmp/$1.key" -out "$tmp/$1.pem" -days 2 -subj "/CN=$1" -addext "subjectAltName=$2" 2>"$tmp/openssl" || fail "openssl: $(cat "$tmp/openssl")"; }
san good DNS:localhost
: >"$tmp/index"
printf '[ca]\ndefault_ca=c\n[c]\ndatabase=%s\nnew_certs_dir=%s\ndefault_md=sha256\npolicy=p\nrand_serial=yes\nx509_extensions=e\n[p]\ncommonName=supplied\n[e]\nsubjectAltName=DNS:localhost\n' \
	"$tmp/index" "$tmp" >"$tmp/ca.conf"
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$tmp/old.key" -out "$tmp/old.csr" -subj /CN=localhost 2>"$tmp/openssl" &&
	openssl ca -batch -config "$tmp/ca.conf" -selfsign -keyfile "$tmp/old.key" -in "$tmp/old.csr" -out "$tmp/old.pem" -notext \
		-startdate 20200101000000Z -enddate 20200201000000Z 2>>"$tmp/openssl" || fail "openssl: $(cat "$tmp/openssl")"
tls() {
	local text=$1
	shift
	env "$@" "$cli" snapshot "$g" >"$tmp/stdout" 2>"$tmp/stderr" && fail "TLS $*: no failure"
	ran="TLS with $*"
	err_has "$text"
	err_has "; AWS_CA_BUNDLE names a file of certificates to trust"
}
start_fake "$tmp/tls" --cert "$tmp/good.pem" --key "$tmp/good.key"
good=$port
start_fake "$tmp/tls-old" --cert "$tmp/old.pem" --key "$tmp/old.key"
tls 'self-signed certificate' AWS_ENDPOINT_URL_S3="https://localhost:$good"
tls '127.0.0.1' AWS_ENDPOINT_URL_S3="https://127.0.0.1:$good" AWS_CA_BUNDLE="$tmp/good.pem"
tls 'certificate has expired' AWS_ENDPOINT_URL_S3="https://localhost:$port" AWS_CA_BUNDLE="$tmp/old.pem"
tls '/nowhere' AWS_ENDPOINT_URL_S3="https://localhost:$good" AWS_CA_BUNDLE=/nowhere

# --- a server that starts: it says why and ends with 1, and nothing has listened
refuses() {
	local rc=0
	mode "$1"
	timeout 60 "$master" "$g" --unauthenticated --bind 127.0.0.1:0 --admin-socket "$tmp/admin" --workers 1 >"$tmp/out" 2>"$tmp/err" </dev/null || rc=$?
	[ $rc = 1 ] || fail "exit code $rc with '$1'"
	[ ! -s "$tmp/out" ] || fail "it listened with '$1'"
	grep -q "^Error: .*$2" "$tmp/err" || fail "no '$2'"
}
refuses missing "there is no bucket 'b'"
refuses key=AKOTHER 'InvalidAccessKeyId.*from: environment'
refuses deny 's3:GetObject and s3:ListBucket are needed'
refuses html 'the answer is a web page'

# --- one that runs
mode skew=10800
RUST_LOG=debug serve "$g" --workers 1
check_log "s3.clock.*differs from this host's by"
[ "$(grep -c s3.clock "$tmp/err")" = 1 ] || fail "more than one line on the clock"
mode
expect 200 POST /mutate "$(add_person first)"
# during MODE STATUS TEXT [STATUS OF A WRITE]: what clients hear meanwhile, and that it is over when the cause is.
during() {
	mode "$1"
	expect "$2" POST /query "$all_people"
	[ "$2" = 200 ] || has "$3"
	if [ "$2" = 503 ]; then has_header 'Retry-After: [0-9]*'; else has_no_header Retry-After; fi
	[ "$2" != 500 ] || has '"code":"internal"'
	if [ "${4:-}" ]; then
		expect "$4" POST /mutate "$(add_person "during-$1")"
		has "$3"
	fi
	mode
	expect 200 POST /query "$all_people"
	expect 200 POST /mutate "$(add_person "after-$1")"
}
during key=AKOTHER 500 'HTTP 403 InvalidAccessKeyId' 500
during missing 500 "there is no bucket 'b'" 500
during deny 500 'HTTP 403 AccessDenied' 500
during deny-write 200 's3:PutObject is needed' 500
during html 500 'the answer is a web page' 500
during expired 500 'HTTP 400 ExpiredToken' 500
during broken 503 'HTTP 500 (request id FAKE1) (tried 11 times in'
names >"$tmp/names"
! grep -q during "$tmp/names" || fail "a write that was refused is there: $(cat "$tmp/names")"
! grep -qF the-secret-itself "$tmp/err" || fail "the secret is in the log"
! grep -qE 'Signature=|AWS4-HMAC' "$tmp/err" || fail "a signature is in the log"
! grep -qF AKGOODKEY "$tmp/err" || fail "the whole key id is in the log"
stop

# --- keys in a file, which is replaced while the server runs
mkdir -p "$HOME/.aws"
chmod 755 "$HOME" "$HOME/.aws"
keys() {
	printf '[default]\naws_access_key_id = %s\naws_secret_access_key = the-secret-itself\n' "$1" >"$HOME/.aws/new"
	chmod 644 "$HOME/.aws/new"
	mv "$HOME/.aws/new" "$HOME/.aws/credentials"
}
keys AKFILEOLD
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
mode key=AKFILEOLD
serve "$g" --workers 1
expect 200 POST /query "$all_people"
mode key=AKFILENEW
expect 500 POST /query "$all_people"
has '(key ...EOLD, from: shared files)'
keys AKFILENEW
expect 200 POST /query "$all_people"
expect 200 POST /mutate "$(add_person rotated)"
stop

# --- what took its time
for pid in $slow; do until_ok 60 gone "$pid" || fail "a command does not end"; done
told_slow() {
	grep -qE -- "$2" "$tmp/slow.$1" && grep -qE '\(tried [0-9]+ times in [0-9]+ s\)' "$tmp/slow.$1" && grep -qx 'exit 1' "$tmp/slow.$1" ||
		fail "no '$2': $(cat "$tmp/slow.$1")"
}
told_slow refused "storage read failed for 's3://b/g/format.json': 127.0.0.1: .*[Cc]onnect"
told_slow dns 'no-such-host.invalid: .*[Rr]esolv'
told_slow plain '; does the endpoint speak https\?'
told_slow boot '^Error: storage read failed .*[Cc]onnect'
! grep -q OMNIGRAPH_LISTEN_ADDR "$tmp/slow.boot" || fail "it listened without a store"
echo "all good"
