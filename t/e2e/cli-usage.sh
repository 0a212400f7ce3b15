#!/bin/bash
# Usage errors, help and versions: exact texts, streams and exit codes.
. "${srcdir:-.}/t/e2e/lib.sh" || exit 99
. "$srcdir/t/e2e/clilib.sh" || exit 99

# --- versions
run 0 version
version=$(cat "$tmp/stdout")
case $version in "omnigraph "[0-9]*) ;; *) fail "version: $version" ;; esac
for v in -v --version; do
	run 0 $v words after are not looked at
	out_is "$version"
done
usage -V
err_has "error: unexpected argument '-V' found"
usage snapshot --version
err_has "error: unexpected argument '--version' found"

# --- help
run 0 --help
err_empty
sed -n '1p' "$tmp/stdout" | grep -qx 'Omnigraph graph database CLI' || fail "help: $(cat "$tmp/stdout")"
out_has 'Usage: omnigraph [OPTIONS] <COMMAND>'
order=$(sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' "$tmp/stdout" | tr '\n' ' ')
case $order in
"version embed init load ingest branch schema lint queries snapshot export commit query mutate policy optimize repair cleanup cluster graphs "*help" ") ;;
*) fail "order of commands: $order" ;;
esac
grep -q '^  query .*\[aliases: read\]' "$tmp/stdout" || fail "query without its alias"
grep -q '^  mutate .*\[aliases: change\]' "$tmp/stdout" || fail "mutate without its alias"
! grep '^  lint ' "$tmp/stdout" | grep -q check || fail "lint shows check"
out_has '--as <ACTOR>'
out_has '-v, --version'
for words in '-h' 'branch -h' 'branch create --help' 'help' 'help schema' 'help schema show' 'load --nonsense-before -h'; do
	case $words in
	*nonsense*) continue ;;
	esac
	# shellcheck disable=SC2086
	run 0 $words
	out_has 'Usage: omnigraph'
done
run 0 export --help
! grep -q jsonl "$tmp/stdout" || fail "export shows --jsonl"
run 0 schema --help
! grep -q get "$tmp/stdout" || fail "schema shows get"
run 0 load --help --whatever
usage help nix
err_has "error: unrecognized subcommand 'nix'"

# --- no subcommand: the help, on stderr
for words in '' branch; do
	# shellcheck disable=SC2086
	run 2 $words
	[ ! -s "$tmp/stdout" ] || fail "help on stdout"
	err_has 'Usage: omnigraph'
	err_has 'Commands:'
done
usage --as x
err_has "error: 'omnigraph' requires a subcommand but one was not provided"
err_has '  [subcommands: version, '

# --- what is missing, unknown, twice, in conflict
usage load
err_has 'error: the following required arguments were not provided:'
grep -qx '  --data <DATA>' "$tmp/stderr" || fail "load: --data is not missed"
grep -qx '  --mode <MODE>' "$tmp/stderr" || fail "load: --mode is not missed"
usage init --schema s.pg
grep -qx '  <URI>' "$tmp/stderr" || fail "init: <URI> is not missed"
usage repair --force
grep -qx '  --confirm' "$tmp/stderr" || fail "repair: --confirm is not missed"
usage init g --schema s.pg --json
err_has "error: unexpected argument '--json' found"
usage snapshot a b
err_has "error: unexpected argument 'b' found"
usage snapshot -5
err_has "error: unexpected argument '-5' found"
usage snapshot --bran x
err_has "error: unexpected argument '--bran' found"
usage frobnicate
err_has "error: unrecognized subcommand 'frobnicate'"
usage run x
err_has "error: unrecognized subcommand 'run'"
usage schema frobnicate
err_has "error: unrecognized subcommand 'frobnicate'"
usage query --query a -e b
err_has "error: the argument '--query <QUERY>' cannot be used with '--query-string <GQ>'"
usage query -e b --alias a --query c
err_has "error: the argument '--query <QUERY>' cannot be used with:"
grep -qx '  --alias <ALIAS>' "$tmp/stderr" || fail "no list of conflicts"
usage query -e x --branch a --snapshot b
err_has "error: the argument '--branch <BRANCH>' cannot be used with '--snapshot <SNAPSHOT>'"
usage query -e x --format csv --json
err_has "error: the argument '--format <FORMAT>' cannot be used with '--json'"
usage mutate -e x --params '{}' --params-file p
err_has "error: the argument '--params <PARAMS>' cannot be used with '--params-file <PARAMS_FILE>'"
usage snapshot g --uri h
err_has "cannot be used with"
usage snapshot --branch a --branch b
err_has "error: the argument '--branch <BRANCH>' cannot be used multiple times"
usage snapshot --json --json
err_has "error: the argument '--json' cannot be used multiple times"
usage snapshot --json=1
err_has "error: unexpected value '1' for '--json' found; no more were accepted"
usage mutate --query - --params-file -
err_has 'both read standard input'

# --- values
usage load g --data d --mode Merge
err_has "error: invalid value 'Merge' for '--mode <MODE>'"
grep -qx '  \[possible values: overwrite, append, merge\]' "$tmp/stderr" || fail "no possible values"
usage query -e x --format xml
err_has '  [possible values: table, kv, csv, jsonl, json]'
usage cleanup --keep x
err_has "error: invalid value 'x' for '--keep <KEEP>': invalid digit found in string"
usage cleanup --keep=
err_has "error: invalid value '' for '--keep <KEEP>': cannot parse integer from empty string"
for n in -1 4294967296; do
	usage cleanup "--keep=$n"
	err_has "error: invalid value '$n' for '--keep <KEEP>': $n is not in 0..=4294967295"
done
usage snapshot --branch
err_has "error: a value is required for '--branch <BRANCH>' but none was supplied"
usage snapshot --branch --json
err_has "error: a value is required for '--branch <BRANCH>' but none was supplied"
usage snapshot --config=
err_has "error: a value is required for '--config <CONFIG>' but none was supplied"
usage init '' --schema s
err_has "error: a value is required for '<URI>' but none was supplied"
usage snapshot --branch "$(printf '\377')"
err_has 'error: invalid UTF-8 was detected in one or more arguments'
usage policy explain --actor a --action schema_frob
err_has '  [possible values: read, export, change, schema-apply, '

# --- old spellings warn before anything is parsed, and mean the new ones
warning() { err_has "warning: \`omnigraph $1\` is deprecated; use \`omnigraph $2\` instead"; }
usage query lint --nonsense
warning 'query lint' lint
usage query check
warning 'query check' lint
usage check
warning check lint
fails read
warning read query
err_has 'exactly one of --query, --query-string, or --alias must be provided'
fails change
warning change mutate
fails query
! grep -q warning "$tmp/stderr" || fail "query warns"
fails --as x read
! grep -q warning "$tmp/stderr" || fail "a global option before it lifts the warning"

# --- what this version cannot do is said, after the words were read
for words in 'branch list' 'cluster plan' 'graphs list' 'policy validate' 'cleanup g --keep +5'; do
	# shellcheck disable=SC2086
	fails $words
	err_has 'is not available in this version'
done
for uri in http://h/x HTTPS://h/x; do
	fails snapshot $uri
	err_has 'remote graphs are not available in this version'
done
AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE=/none AWS_SHARED_CREDENTIALS_FILE=/none fails snapshot s3://b/x
err_has 'no credentials found'
fails snapshot gs://b/x
err_has 'unknown scheme'

# --- a stdout that takes nothing
"$cli" --help >/dev/full 2>"$tmp/stderr" && fail "a full disk is no success"
grep -q 'No space left on device (os error 28)' "$tmp/stderr" || fail "the full disk is not named"
"$cli" version >/dev/full 2>"$tmp/stderr" && fail "a full disk is no success"
nobody_left
exit 0
