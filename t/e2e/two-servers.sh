#!/bin/bash
# Two servers on one folder, writers at both, and any process of either killed at any time: nothing acknowledged is lost, both show the
# same, the log is one chain. SEED repeats a run's choices, not its timing.
. "${srcdir:-.}/t/e2e/lib.sh"

RANDOM=${SEED:=$$}
echo "SEED=$SEED"
new_graph "$tmp/g"

# The first server is the library's; the second one is kept beside it.
"$master" "$tmp/g" --workers 2 --unauthenticated --bind 127.0.0.1:0 --admin-socket "$tmp/admin.b" >"$tmp/out.b" 2>"$tmp/err.b" </dev/null &
server_b=$!
undo() { kill -9 "$server_b" 2>/dev/null; }
until_ok 30 grep -q OMNIGRAPH_LISTEN_ADDR "$tmp/out.b" || fail "no listen line of the second server: $(cat "$tmp/err.b")"
url_b=http://$(sed -n 's/^OMNIGRAPH_LISTEN_ADDR=//p' "$tmp/out.b")
serve "$tmp/g" --workers 2
url_a=$url

start_writers a1 a2
url=$url_b
start_writers b1 b2
for _ in $(seq 12); do
	until_ok 30 more_acked 40 || fail "no write gets through"
	[ $((RANDOM % 2)) = 0 ] && parent=$server || parent=$server_b
	kids=($(ps -o pid= --ppid "$parent"))
	[ ${#kids[@]} -eq 0 ] || kill -9 "${kids[RANDOM % ${#kids[@]}]}" 2>/dev/null
done
stop_writers

# --- both show everything, and what one acknowledges now the other shows at once
for url in "$url_a" "$url_b"; do
	until_ok 60 answers 200 POST /query "$all_people" || fail "no answer: $code $(answer)"
	none_lost
	cp "$tmp/have" "$tmp/have.${url##*:}"
done
cmp -s "$tmp/have.${url_a##*:}" "$tmp/have.${url_b##*:}" || fail "the two servers show different rows"
for i in $(seq 20); do
	url=$url_a
	until_ok 60 answers 200 POST /mutate "$(add_person "after-a-$i")" || fail "no write: $code $(answer)"
	url=$url_b
	names | grep -qx "after-a-$i" || fail "the second server does not show after-a-$i: $code $(answer)"
	until_ok 60 answers 200 POST /mutate "$(add_person "after-b-$i")" || fail "no write: $code $(answer)"
	url=$url_a
	names | grep -qx "after-b-$i" || fail "the first server does not show after-b-$i: $code $(answer)"
done
kill -TERM "$server_b"
wait "$server_b" || fail "the second server's exit code is not 0"
stop
cat "$tmp/err.b" >>"$tmp/err"
no_crash
verified "$tmp/g"
echo "all good"
