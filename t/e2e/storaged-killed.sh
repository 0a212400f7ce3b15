#!/bin/bash
# og-storaged killed under load: workers answer 503 with Retry-After, recover by themselves, and nothing acknowledged is lost.
. "${srcdir:-.}/t/e2e/lib.sh"

new_graph "$tmp/g"
serve "$tmp/g" --workers 2
expect 200 POST /mutate "$(add_person first)"
workers=$(pid_of worker.0)\ $(pid_of worker.1)

# --- stopped, it cannot be replaced: what workers say meanwhile
old=$(pid_of storaged)
start_writers a b c
until_ok 20 more_acked 50 || fail "no load"
for _ in 1 2 3; do
	old=$(pid_of storaged)
	kill -9 "$old"
	until_ok 20 replaced storaged "$old" || fail "og-storaged is not started again"
	until_ok 20 more_acked 50 || fail "no write gets through"
done
stop_writers
[ "$workers" = "$(pid_of worker.0) $(pid_of worker.1)" ] || fail "workers were restarted too"
none_lost

# --- killed again and again, so that a worker is asked while there is none
refused() {
	local p
	p=$(pid_of storaged)
	[ -z "$p" ] || kill -9 "$p" 2>/dev/null
	answers 503 POST /mutate "$(add_person "late-$RANDOM$RANDOM")"
}
until_ok 30 refused || fail "nobody says 503"
has_header 'retry-after: [0-9]*'
has '"error":"'
! grep -q '"code"' "$tmp/body" || fail "503 has no code: $(answer)"
# Its restart may wait for some seconds by now.
until_ok 60 answers 200 POST /mutate "$(add_person after)" || fail "the server does not recover: $code"
none_lost
for name in first after; do grep -qx $name "$tmp/names" || fail "$name is lost"; done
stop
verified "$tmp/g"
echo "all good"
