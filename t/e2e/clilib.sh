# What the tests of the command line share; sourced after lib.sh.

# run CODE WORD...: the command must end with that code; its output lies in $tmp/stdout and $tmp/stderr.
run() {
	local want=$1 rc
	shift
	timeout 60 "$cli" "$@" >"$tmp/stdout" 2>"$tmp/stderr" </dev/null
	rc=$?
	[ $rc -eq "$want" ] || fail "omnigraph $*: exit code $rc instead of $want: $(head -c 2000 "$tmp/stdout" "$tmp/stderr")"
	ran="omnigraph $*"
}
# A failure says nothing on stdout, and the rest in one report.
fails() {
	run 1 "$@"
	[ ! -s "$tmp/stdout" ] || fail "$ran: fails, yet prints $(cat "$tmp/stdout")"
	[ "$(sed -n '/^warning:/!p' "$tmp/stderr" | head -n 1)" = Error: ] || fail "$ran: no report: $(cat "$tmp/stderr")"
}
usage() {
	run 2 "$@"
	[ ! -s "$tmp/stdout" ] || fail "$ran: stdout has $(cat "$tmp/stdout")"
	grep -q "^For more information, try '--help'.$" "$tmp/stderr" || fail "$ran: no pointer to --help: $(cat "$tmp/stderr")"
}
out_has() { grep -qF -- "$1" "$tmp/stdout" || fail "$ran: stdout lacks '$1': $(cat "$tmp/stdout")"; }
err_has() { grep -qF -- "$1" "$tmp/stderr" || fail "$ran: stderr lacks '$1': $(cat "$tmp/stderr")"; }
err_empty() { [ ! -s "$tmp/stderr" ] || fail "$ran: stderr has $(cat "$tmp/stderr")"; }
out_is() { [ "$(cat "$tmp/stdout")" = "$1" ] || fail "$ran: stdout is not '$1': $(cat "$tmp/stdout")"; }
# nobody_left: every og-storaged that a command started here has gone with it. Where the kernel hides its folder it is not seen.
nobody_left() {
	local pid
	for pid in $(pgrep -f 'og-storaged storaged operator'); do
		[ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" != "$tmp" ] || gone "$pid" || fail "process $pid is left"
	done
}
