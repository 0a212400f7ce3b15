#!/bin/bash
# omnigraph.yaml: which graph, branch, actor, format; aliases; faults of the file.
. "${srcdir:-.}/t/e2e/lib.sh" || exit 99
. "$srcdir/t/e2e/clilib.sh" || exit 99

mkdir conf conf/gq
new_graph conf/quay
new_graph other
rm -f omnigraph.yaml conf/omnigraph.yaml
cat >conf/gq/people.gq <<'END'
query people() { match { $p: Person } return { $p.name } order { $p.name } }
query named($name: String, $age: I32?) { match { $p: Person { name: $name } } return { $p.name, $p.age } }
query add($name: String, $age: I32?) { insert Person { name: $name, age: $age } }
END
cat >conf/c.yaml <<'END'
graphs:
  quay: { uri: ./quay }
  other: { uri: ../other }
  far: { uri: https://h.example/graphs/x }
cli: { graph: quay, actor: act-mira, output_format: csv }
query: { roots: [nowhere, gq] }
auth: { env_file: env }
unknown: [1, 2]
aliases:
  find: { command: query, query: people.gq, name: named, args: [name, age], format: kv }
  there: { command: read, query: people.gq, name: people, graph: other }
  add-one: { command: mutate, query: people.gq, name: add, args: [name, age] }
END
c="--config conf/c.yaml"

# --- selection and defaults
run 0 mutate $c --query people.gq --name add --params '{"name":"ada"}'
out_has 'actor_id: act-mira'
run 0 mutate $c --query people.gq --name add --params '{"name":"bob"}' --as act-b --target other
out_has 'actor_id: act-b'
run 0 query $c --query people.gq --name people
out_is 'p.name
ada'
run 0 query $c --query people.gq --name people --target other
out_is 'p.name
bob'
run 0 query $c --query people.gq --name people --uri other
out_is 'p.name
bob'
run 0 load $c --data /dev/null --mode merge
out_has "loaded $tmp/conf/./quay on branch main"
fails snapshot $c --target nix
err_has "graph 'nix' not found in omnigraph.yaml"
fails query $c --query people.gq --name people --target far
err_has 'remote graphs are not available in this version'
fails snapshot --config nix.yaml quay
err_has 'No such file or directory (os error 2)'

# --- aliases
run 0 mutate $c --alias add-one cyd 41
out_has 'changed main via add'
run 0 query $c --alias find cyd
out_is '1 rows from branch main via named
row 1
p.name: cyd
p.age: 41'
run 0 query $c --alias find nobody --params '{"name":"ada"}' --format csv
out_is 'p.name,p.age
ada,null'
run 0 query $c --alias there
out_is 'p.name
bob'
run 0 query $c --alias find cyd --json
out_has '"query_name": "named"'
fails query $c --alias find a 1 b
err_has "alias 'find' expects at most 2 args but got 3"
fails query $c --alias nix
err_has "alias 'nix' not found"
fails query $c --alias add-one x
err_has "alias 'add-one' is a Change alias, not a Read alias"
fails mutate $c --alias find x
err_has "alias 'find' is a Read alias, not a Change alias"
fails query $c --alias find 12
err_has "param 'name': expected string, got number"
run 0 query $c --alias find '"12"'

# --- a file here is read by every command that may need one, even beside an explicit URI
printf 'cli: { graph: a, graph: b }\n' >omnigraph.yaml
fails snapshot other
err_has 'omnigraph.yaml: cli: duplicate field `graph` at line 1 column 6'
run 0 version
printf 'graphs: { quay: {} }\n' >omnigraph.yaml
fails query other -e 'query q() { match { $p: Person } return { $p.name } }'
err_has 'graphs.quay: missing field `uri` at line 1 column 17'
printf 'graphs: { o: { uri: other } }\nqueries: { q: { file: q.gq } }\ncli: { graph: o }\n' >omnigraph.yaml
fails query -e 'query q() { match { $p: Person } return { $p.name } }'
err_has "named graph 'o' uses its own"
err_has 'queries are set and would be ignored'
run 0 snapshot
run 0 query other -e 'query q() { match { $p: Person } return { $p.name } }'

# --- a write under a policy is refused; a read is not
printf 'policy: { file: p.yaml }\n' >omnigraph.yaml
fails mutate other -e 'query add($n: String) { insert Person { name: $n } }' --params '{"n":"x"}'
err_has 'policy: '
fails load other --data /dev/null --mode merge
err_has 'policy: '
run 0 query other -e 'query q() { match { $p: Person } return { $p.name } }'
nobody_left
exit 0
