#!/bin/bash
# A full disk refuses writes with a clear error, serves reads, and is forgotten as soon as there is room again.
. "${srcdir:-.}/t/e2e/lib.sh"

[ "$(id -u)" -eq 0 ] || skip "a file system of its own needs root"
mkdir "$tmp/disk"
undo() { umount -l "$tmp/disk" 2>/dev/null; }
mount -t tmpfs -o size=4m omnigraph-e2e "$tmp/disk" 2>/dev/null || skip "no tmpfs can be mounted here"

new_graph "$tmp/disk/g" 'node Person { name: String @key  text: String? }'
serve "$tmp/disk/g" --workers 2
text=$(head -c 30000 /dev/urandom | base64 -w 0 | head -c 40000)
add_big() { printf '{"query":"query add($n: String, $t: String) { insert Person { name: $n, text: $t } }","params":{"n":"%s","t":"%s"}}' "$1" "$text" >"$tmp/big"; }
# big NAME: one write of 40 KB; a line in acked.big when it was acknowledged
big() {
	add_big "$1"
	code=$(curl -sS -m 60 -H 'Content-Type: application/json' -d "@$tmp/big" -o "$tmp/body" -D "$tmp/headers" -w '%{http_code}' "$url/mutate")
	[ "$code" != 200 ] || echo "$1" >>"$tmp/acked.big"
}

# --- a graph that was never opened, on a disk that is full already: no rows, no writes, no crash
stop
new_graph "$tmp/disk/fresh"
dd if=/dev/zero of="$tmp/disk/ballast" bs=4096 2>/dev/null
serve "$tmp/disk/fresh" --workers 1
pids="$(pid_of storaged) $(pid_of worker.0)"
[ -z "$(names)" ] || fail "rows from nowhere: $(answer)"
request POST /mutate "$(add_person nobody)"
case $code in 500 | 503) ;; *) fail "a write to a full disk: $code $(answer)" ;; esac
has 'No space left on device'
rm "$tmp/disk/ballast"
expect 200 POST /mutate "$(add_person somebody)"
[ "$(names)" = somebody ] || fail "with room again: $(answer)"
"$cli" mutate --uri "$tmp/disk/fresh" -e 'query add() { insert Person { name: "third" } }' >"$tmp/cli" 2>&1 || fail "$(cat "$tmp/cli")"
[ "$(names | tr '\n' ' ')" = 'somebody third ' ] || fail "the command line's write is not seen: $(answer)"
[ "$pids" = "$(pid_of storaged) $(pid_of worker.0)" ] || fail "something had to be restarted"
stop
serve "$tmp/disk/g" --workers 2

# --- until it is full
for i in $(seq 300); do
	big "big-$i"
	[ "$code" = 200 ] || break
done
[ "$code" != 200 ] || fail "the disk does not get full"
[ "$i" -gt 20 ] || fail "full after $i writes: $code $(answer)"
case $code in 500 | 503 | 507) ;; *) fail "a full disk is $code: $(answer)" ;; esac
has 'No space left on device'
none_lost

# --- more of them: the same, and nothing breaks
for i in 1 2 3; do
	big "more-$i"
	[ "$code" != 200 ] || fail "written to a full disk"
done
pids="$(pid_of storaged) $(pid_of builder) $(pid_of worker.0) $(pid_of worker.1)"
none_lost

# --- a start on a full disk serves reads
stop
dd if=/dev/zero of="$tmp/disk/ballast" bs=4096 2>/dev/null
serve "$tmp/disk/g" --workers 2
none_lost
request POST /mutate "$(add_person small)"
[ "$code" != 200 ] || echo small >>"$tmp/acked.big"

# --- room again: no restart is needed
pids="$(pid_of storaged) $(pid_of worker.0) $(pid_of worker.1)"
rm "$tmp/disk/ballast"
mount -o remount,size=16m "$tmp/disk" || fail "no remount"
written() { big again && [ "$code" = 200 ]; }
until_ok 30 written || fail "with room again, still $code: $(answer)"
[ "$pids" = "$(pid_of storaged) $(pid_of worker.0) $(pid_of worker.1)" ] || fail "something had to be restarted"
none_lost
stop
serve "$tmp/disk/g" --workers 1
none_lost
stop
verified "$tmp/disk/g"
echo "all good"
