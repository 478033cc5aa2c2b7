#!/usr/bin/env bash
# Requests made of the API description against a server, by a tool that others wrote: schema-driven fuzzing, with links
# between answers and further requests. Fails at an answer of 5xx, an answer that the description does not have, or a server
# that does not answer afterwards.
#
#   packages/server/tests/schemathesis.sh [EXAMPLES]     the number of examples of each operation; 20 by default
#   packages/server/tests/schemathesis.sh --kills [MINUTES [SECONDS]]
#                                                        the server is killed every 3 s for 5 minutes, with a ledger outside of it
#
# Needs the built program (target/debug/counterpoint, or $COUNTERPOINT) and `schemathesis` on the search path.
set -euo pipefail
cd "$(dirname "$0")/../../.."
examples="${1:-20}"
program="$(realpath "${COUNTERPOINT:-${CARGO_TARGET_DIR:-target}/debug/counterpoint}")"
if [ "$examples" = --kills ]; then
    exec python3 "$(pwd)/packages/server/tests/schemathesis_kills.py" "$program" "${2:-5}" "${3:-3}"
fi
folder="$(mktemp -d)"
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT
# The tool writes into the folder in which it is started.
cd "$folder"

cat >"$folder/tokens.json" <<'END'
[{"token": "t-ops", "name": "grace", "roles": ["operator", "submitter", "agent", "auditor"], "agents": [1, 2, 3, 4, 5, 6, 7, 8, 9]}]
END
cat >"$folder/flow.yaml" <<'END'
name: flow
tasks: [{id: a}]
agents: {a: {command: ["true"]}}
END
"$program" serve "$folder/flow.yaml" --data "$folder/data" --tokens "$folder/tokens.json" --listen 127.0.0.1:0 >"$folder/out" 2>"$folder/err" &
server=$!
for _ in $(seq 100); do
    url="$(sed -n 's/^listening on //p' "$folder/out")"
    [ -z "$url" ] || break
    sleep 0.1
done
[ -n "$url" ] || { cat "$folder/err" >&2; exit 1; }

# Streams of events do not end, so they are left to tests of their own.
schemathesis run "$url/openapi.json" --url "$url" --header "Authorization: Bearer t-ops" \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
    --exclude-path-regex '(/v1/events|/reports)$' --max-examples "$examples" --request-timeout 20 \
    --workers 2 --no-color "${@:2}"

kill -0 "$server" || { echo "the server has ended" >&2; cat "$folder/err" >&2; exit 1; }
curl -sf --max-time 10 "$url/ready" >/dev/null || { echo "the server does not answer" >&2; exit 1; }
! grep -i panic "$folder/err" || exit 1
# What was accepted is in the journal: another server continues from it.
before="$(curl -sf "$url/health")"
kill -KILL "$server"
wait "$server" 2>/dev/null || true
"$program" serve --data "$folder/data" --tokens "$folder/tokens.json" --listen 127.0.0.1:0 >"$folder/out2" 2>"$folder/err" &
server=$!
for _ in $(seq 300); do
    url="$(sed -n 's/^listening on //p' "$folder/out2")"
    [ -z "$url" ] || break
    sleep 0.1
done
[ -n "$url" ] || { echo "the server does not start again" >&2; cat "$folder/err" >&2; exit 1; }
echo "before the kill: $before; after it: $(curl -sf "$url/health")"
