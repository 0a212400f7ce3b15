# A fake S3 server for the tests of what goes wrong; sourced after lib.sh. What fakes3.py can do it says itself.
fake_py=$(cd "${srcdir:-.}" && pwd)/t/e2e/fakes3.py
fakes=

# start_fake FOLDER [OPTION...]: sets $port
start_fake() {
	local dir=$1
	mkdir -p "$dir"
	shift
	: >"$dir/port"
	python3 "$fake_py" "$dir" "$@" >"$dir/port" 2>"$dir/err" &
	fakes="$fakes $!"
	until_ok 10 test -s "$dir/port" || fail "no fake S3 server: $(cat "$dir/err")"
	port=$(cat "$dir/port")
}
undo() {
	# shellcheck disable=SC2086
	[ -z "$fakes" ] || kill -9 $fakes 2>/dev/null
}
# mode WORD...: what the server in $tmp/fake does from now on; its log begins anew.
mode() {
	: >"$tmp/fake/log"
	echo "$*" >"$tmp/fake/mode.new"
	mv "$tmp/fake/mode.new" "$tmp/fake/mode"
}
asked() { grep -qE -- "$1" "$tmp/fake/log" || fail "nobody asked '$1': $(cat "$tmp/fake/log")"; }
never_asked() { ! grep -E -- "$1" "$tmp/fake/log" || fail "somebody asked '$1'"; }
