#!/bin/bash
# Where requests go and with whose keys: addresses of every kind, AWS itself behind a proxy, regions, proxies and their exceptions, keys that
# a command prints or a container's service gives; what og-storaged may still reach; that no secret is in any environment.
. "${srcdir:-.}/t/e2e/lib.sh"
. "$srcdir/t/e2e/clilib.sh"
. "$srcdir/t/e2e/fakelib.sh"

unset "${!AWS_@}" http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY REQUEST_METHOD
export AWS_ACCESS_KEY_ID=AKGOODKEY AWS_SECRET_ACCESS_KEY=the-secret-itself AWS_EC2_METADATA_DISABLED=true HOME=$tmp/home
mkdir -p "$tmp/home"
start_fake "$tmp/fake"
plain=$port
g=s3://b/g
printf '%s\n' "$people" >"$tmp/schema.pg"
# with VARIABLE=VALUE... -- CODE WORD...: the command line with these variables
with() {
	local vars=()
	while [ "$1" != -- ]; do
		vars+=("$1")
		shift
	done
	shift
	(
		for v in "${vars[@]}"; do export "${v?}"; done
		run "$@"
	) || exit 1
}
init=(0 init --schema "$tmp/schema.pg")

# --- addresses
mode
with AWS_ENDPOINT_URL="http://127.0.0.1:$plain/" -- "${init[@]}" "$g"
asked "^GET 127.0.0.1:$plain /b/g/format.json AKGOODKEY us-east-1 |^PUT 127.0.0.1:$plain /b/g/format.json AKGOODKEY us-east-1 200"
with AWS_ENDPOINT="http://localhost:$plain" AWS_REGION=auto -- 0 snapshot S3://b/g/
asked "^GET localhost:$plain /b/g/format.json AKGOODKEY auto 200"
mode under=/store/v1
with AWS_ENDPOINT_URL_S3="http://127.0.0.1:$plain/store/v1" AWS_ENDPOINT_URL=http://127.0.0.1:1 -- 0 snapshot "$g"
asked ' /store/v1/b/g/format.json .* 200$'
mode bucket=b
with AWS_ENDPOINT_URL_S3="http://localhost:$plain" AWS_VIRTUAL_HOSTED_STYLE_REQUEST=Yes -- 0 snapshot "$g"
asked ' /g/format.json .* 200$'
mode
with AWS_ENDPOINT_URL_S3="http://localhost:$plain" AWS_VIRTUAL_HOSTED_STYLE_REQUEST=yes AWS_S3_FORCE_PATH_STYLE=1 -- 0 snapshot "$g"
with AWS_ENDPOINT_URL_S3="http://localhost:$plain" AWS_SKIP_SIGNATURE=true -- 0 snapshot "$g"
asked '^GET localhost:[0-9]* /b/g/format.json - - 200$'
if no6=$(python3 -c 'import socket; socket.create_server(("::1", 0), family=socket.AF_INET6)' 2>&1); then
	start_fake "$tmp/fake6" --host ::1
	with AWS_ENDPOINT_URL_S3="http://[::1]:$port" AWS_VIRTUAL_HOSTED_STYLE_REQUEST=true -- "${init[@]}" "$g"
	grep -qF "PUT [::1]:$port /b/g/format.json" "$tmp/fake6/log" || fail "IPv6: $(cat "$tmp/fake6/log")"
else
	echo "no IPv6 here, not tested: ${no6##*$'\n'}"
fi

# --- AWS: the region is asked for, or a wrong one put right; through a tunnel, with certificates of its own
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$tmp/aws.key" -out "$tmp/aws.pem" -days 2 -subj /CN=aws -addext \
	"subjectAltName=DNS:*.s3.amazonaws.com,DNS:s3.amazonaws.com,DNS:*.amazonaws.com,DNS:s3.eu-far-1.amazonaws.com,DNS:*.s3.eu-far-1.amazonaws.com,DNS:s3.us-west-9.amazonaws.com" \
	2>"$tmp/openssl" || fail "openssl: $(cat "$tmp/openssl")"
start_fake "$tmp/aws" --cert "$tmp/aws.pem" --key "$tmp/aws.key"
fake=$tmp/aws
aws=(HTTPS_PROXY="http://user:proxy-password@127.0.0.1:$port" AWS_CA_BUNDLE="$tmp/aws.pem")
seen() { grep -qE -- "$1" "$fake/log" || fail "nobody asked '$1': $(cat "$fake/log")"; }
echo region=eu-far-1 >"$fake/mode"
with "${aws[@]}" -- "${init[@]}" "$g"
seen '^CONNECT b.s3.amazonaws.com:443 '
seen '^HEAD b.s3.amazonaws.com / - - 403$'
seen '^PUT s3.eu-far-1.amazonaws.com /b/g/format.json AKGOODKEY eu-far-1 200$'
! grep -q 'us-east-1\|probe' "$fake/log" || fail "more than was needed: $(cat "$fake/log")"
: >"$fake/log"
with "${aws[@]}" AWS_REGION=us-west-9 -- 0 snapshot "$g"
seen '^GET s3.us-west-9.amazonaws.com /b/g/format.json AKGOODKEY us-west-9 301$'
seen '^GET s3.eu-far-1.amazonaws.com /b/g/format.json AKGOODKEY eu-far-1 200$'
[ "$(grep -c ' 301$' "$fake/log")" = 1 ] || fail "the region is not remembered: $(cat "$fake/log")"
: >"$fake/log"
echo region=eu-far-1 bucket=b >"$fake/mode"
with "${aws[@]}" AWS_DEFAULT_REGION=eu-far-1 AWS_VIRTUAL_HOSTED_STYLE_REQUEST=true -- 0 snapshot "$g"
seen '^GET b.s3.eu-far-1.amazonaws.com /g/format.json AKGOODKEY eu-far-1 200$'
(
	export "${aws[@]}"
	echo region=eu-far-1 >"$fake/mode"
	RUST_LOG=debug serve "$g" --workers 1
	expect 200 POST /mutate "$(add_person far)"
	! grep -q 'proxy-password' "$tmp/err" || fail "the proxy's password is in the log"
	stop
) || exit 1

# --- plain HTTP: said once; proxies and their exceptions (0.0.0.0 is this host, but by its spelling no loopback)
mode
(
	export AWS_ENDPOINT_URL_S3=http://0.0.0.0:$plain HTTP_PROXY=http://127.0.0.1:$plain
	serve "$g" --workers 1
	expect 200 POST /query "$all_people"
	[ "$(grep -c 's3.plain_http endpoint=0.0.0.0:' "$tmp/err")" = 1 ] || fail "not one warning of plain HTTP"
	stop
) || exit 1
asked "^GET 0.0.0.0:$plain http://0.0.0.0:$plain/b/g/format.json AKGOODKEY"
mode
for except in 0.0.0.0 '10.0.0.0/8, 0.0.0.0/8' '*'; do
	with AWS_ENDPOINT_URL_S3="http://0.0.0.0:$plain" HTTP_PROXY=http://127.0.0.1:1 NO_PROXY="$except" -- 0 snapshot "$g"
done
with AWS_ENDPOINT_URL_S3="http://0.0.0.0:$plain" HTTP_PROXY=http://127.0.0.1:1 REQUEST_METHOD=GET -- 0 snapshot "$g"
never_asked 'http://0.0.0.0'
with AWS_ENDPOINT_URL_S3="http://0.0.0.0:$plain" http_proxy="http://127.0.0.1:$plain" NO_PROXY=1.0.0.0/8 REQUEST_METHOD=GET -- 0 snapshot "$g"
asked 'http://0.0.0.0'
with AWS_ENDPOINT_URL_S3="http://0.0.0.0:$plain" ALL_PROXY="127.0.0.1:$plain" -- 0 snapshot "$g"

# --- keys that a command prints
export AWS_ENDPOINT_URL_S3=http://127.0.0.1:$plain
mkdir -p "$HOME/.aws"
chmod 755 "$HOME" "$HOME/.aws"
printf '#!/bin/sh\necho "$AWS_PROFILE $1" >"$HOME/called"\n[ "$1" != fail ] || exit 3\nprintf "{\\"Version\\": 1, \\"AccessKeyId\\": \\"AKPROCESS\\",\\n \\"SecretAccessKey\\": \\"the-secret-itself\\"}"\n' >"$tmp/keys.sh"
chmod +x "$tmp/keys.sh"
printf '[profile cmd]\ncredential_process = %s "a b"\n[profile bad]\ncredential_process = %s fail\n[profile garbage]\ncredential_process = echo hello\n[profile sso]\nsso_session = x\n' \
	"$tmp/keys.sh" "$tmp/keys.sh" >"$HOME/.aws/config"
(
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	export AWS_PROFILE=cmd
	mode key=AKPROCESS
	run 0 snapshot "$g"
	[ "$(cat "$HOME/called")" = 'cmd a b' ] || fail "called: $(cat "$HOME/called")"
	AWS_PROFILE=bad fails snapshot "$g"
	err_has "credential_process of profile 'bad': it ended with exit code 3"
	AWS_PROFILE=garbage fails snapshot "$g"
	err_has "credential_process of profile 'garbage': what it printed is not a JSON object"
	AWS_PROFILE=sso fails snapshot "$g"
	err_has "profile 'sso' needs sso_session, which is not supported"
	rm "$HOME/called"
	rc=0
	timeout 60 "$master" "$g" --unauthenticated --bind 127.0.0.1:0 --admin-socket "$tmp/admin" >"$tmp/out" 2>"$tmp/err" </dev/null || rc=$?
	[ $rc = 1 ] || fail "the server's exit code is $rc"
	grep -q "^Error: .*profile 'cmd' needs credential_process, which only the command line runs" "$tmp/err" || fail "the server does not say why"
	[ ! -e "$HOME/called" ] || fail "the server ran the command"
) || exit 1

# --- a container's service on another port than the store; all that og-storaged may still reach
start_fake "$tmp/service"
echo creds=AKTASK >"$tmp/service/mode"
export AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:$port/creds
(
	unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
	mode key=AKTASK
	serve "$g" --workers 1
	expect 200 POST /mutate "$(add_person task)"
	# Given up wherever the kernel can at all; status says so.
	status | tr '{' '\n' | grep '"name":"storaged"' >"$tmp/storaged"
	! grep -q '"landlock-net"' "$tmp/storaged" || grep -q '"landlock-ports"' "$tmp/storaged" || fail "storaged may connect anywhere: $(cat "$tmp/storaged")"
	stop
) || exit 1
unset AWS_CONTAINER_CREDENTIALS_FULL_URI

# --- nobody's environment: of a server, and of a command while it waits for the store
clean() {
	! tr '\0' '\n' <"/proc/$1/environ" 2>/dev/null | grep -q '^AWS_\|the-secret-itself\|proxy-password' ||
		fail "process $1 ($(tr '\0' ' ' <"/proc/$1/cmdline")): a secret in its environment"
}
mode busy
HTTPS_PROXY=http://user:proxy-password@127.0.0.1:1 "$cli" snapshot "$g" >"$tmp/stdout" 2>"$tmp/stderr" </dev/null &
cli_pid=$!
until_ok 30 grep -q . "$tmp/fake/log" || fail "the command asks nothing"
child=$(ps -o pid= --ppid $cli_pid | tr -d ' ')
[ -n "$child" ] || fail "og-storaged is not there: $(cat "$tmp/stderr")"
clean $cli_pid
clean "$child"
mode
wait $cli_pid || fail "the store is back, yet: $(cat "$tmp/stderr")"
HTTPS_PROXY=http://user:proxy-password@127.0.0.1:1 serve "$g" --workers 2
for pid in $server $(children); do clean "$pid"; done
stop
echo "all good"
