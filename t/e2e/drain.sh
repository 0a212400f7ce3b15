#!/bin/bash
# SIGTERM and SIGINT: requests under way are answered, nobody new is let in; a second signal, or the deadline, ends it at once.
. "${srcdir:-.}/t/e2e/lib.sh"

new_graph "$tmp/g"

# slow_request: a client whose body is on its way: half of it now, the rest when told. Its answer lands in $tmp/slow.
body=$(add_person slow)
open_slow() {
	exec 7<>"/dev/tcp/127.0.0.1/${url##*:}"
	printf 'POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
		${#body} "${body:0:20}" >&7
	# It is under way once a worker has read its head.
	until_ok 10 in_flight || fail "no request under way"
}
in_flight() { status | grep -q '"http_in_flight":[1-9]' || [ -z "$(ss -Htn state established "( sport = :${url##*:} )" | awk '$1 > 0')" ]; }

for signal in TERM INT; do
	serve "$tmp/g" --workers 1
	open_slow
	kids=$(children)
	kill -$signal "$server"
	until_ok 10 grep -q ' drain seconds=30' "$tmp/err" || fail "no drain"
	# Workers hear of it a moment later; then nobody is let in.
	# 7: refused, not left to wait.
	refused() {
		curl -s -m 5 -o /dev/null "$url/healthz"
		[ $? -eq 7 ]
	}
	until_ok 10 refused || fail "a draining server takes new connections"
	gone "$server" && fail "the request under way was not waited for"
	printf '%s' "${body:20}" >&7
	head -n 1 <&7 | grep -q '^HTTP/1.1 200 ' || fail "the request under way was lost"
	exec 7>&-
	until_ok 20 gone "$server" || fail "the server does not end after its last request"
	wait "$server" || fail "exit code $?"
	server=
	all_gone "$kids" || fail "processes are left"
	body=$(add_person slower)
done

# --- a second signal does not wait
serve "$tmp/g" --workers 1
body=$(add_person slowest)
open_slow
kill -TERM "$server"
until_ok 10 grep -q ' drain seconds=30' "$tmp/err" || fail "no drain"
before=$(date +%s)
stop TERM
[ $(($(date +%s) - before)) -le 10 ] || fail "the second signal waited"
exec 7>&-

# --- nor does the deadline
serve "$tmp/g" --workers 1 --drain-timeout 1
open_slow
stop TERM
check_log 'deadline: running requests are given up'
exec 7>&-

# --- an idle connection does not hold it up
serve "$tmp/g" --workers 1
exec 7<>"/dev/tcp/127.0.0.1/${url##*:}"
printf 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n' >&7
head -n 1 <&7 | grep -q '^HTTP/1.1 200 ' || fail "no answer"
before=$(date +%s)
stop TERM
[ $(($(date +%s) - before)) -le 10 ] || fail "an idle connection held the server up"
exec 7>&-

serve "$tmp/g" --workers 1
[ "$(names | tr '\n' ' ')" = 'slow slower ' ] || fail "finished requests: $(answer)"
stop
verified "$tmp/g"
echo "all good"
