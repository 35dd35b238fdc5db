#!/usr/bin/env bash
# Holds the running server against the description of its API (src/http/openapi.json): schemathesis makes up
# requests from it, fit and unfit ones, and checks every answer against it. Once as a member, once as somebody who
# is in no group, once without a session, and at last what ends things: leaving, deleting, logging out.
# Needs Python 3.10 or newer with venv; everything it installs stays below target/. The seed is fixed.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD/tests/schemathesis
tools=$PWD/target/tools/python
binary=${DEUCED_BIN:-$PWD/target/debug/deuced}
work=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

[ -n "${DEUCED_BIN:-}" ] || cargo build --quiet --locked
if ! "$tools/bin/python" -c 'import schemathesis' 2>/dev/null; then
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
fi

for person in olga mia ben cara xaver dora emil; do
    admin=; [ "$person" = olga ] && admin=--admin
    echo "password of $person" | "$binary" user add "$person" $admin --password-stdin --data "$work/data" >/dev/null
done
# Paces and the numbers of things are raised, because a thousand requests a minute are what this is.
limits=()
for name in $("$binary" limits | awk '{ print $1 }' | grep -E '_per_minute$'); do limits+=(--limit "$name=1000000000"); done
for limit in groups_per_user=10000 invites_per_group=10000 locations_per_user=10000 reactions_per_entry=10000 rooms=100000; do
    limits+=(--limit "$limit")
done
"$binary" serve --data "$work/data" --listen 127.0.0.1:0 "${limits[@]}" >"$work/out" 2>"$work/err" &
server=$!
for _ in $(seq 200); do
    [ -s "$work/data/address" ] && break
    kill -0 "$server" 2>/dev/null || { cat "$work/err"; echo "the server did not start"; exit 1; }
    sleep 0.1
done
export DEUCED_URL="http://$(cat "$work/data/address")" DEUCED_WORLD="$work/world.json"
export SCHEMATHESIS_HOOKS=hooks PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1
"$tools/bin/python" "$here/world.py"

# Runs schemathesis as somebody; the other words choose operations, phases and how many examples.
run() {
    local who=$1; shift
    cp "$here/config.toml" "$work/config.toml"
    if [ "$who" != nobody ]; then
        token=$("$tools/bin/python" "$here/world.py" "$who")
        printf '[auth.openapi.bearer]\nbearer = "%s"\n' "$token" >>"$work/config.toml"
    fi
    printf '\n-- as %s: %s\n' "$who" "$*"
    # It leaves a folder where it runs.
    (cd "$work" && "$tools/bin/schemathesis" --config-file "$work/config.toml" run "$DEUCED_URL/api/openapi.json" \
        --no-color --seed 4 --checks all "$@") \
        || { tail -20 "$work/err"; echo "the server and src/http/openapi.json differ, as $who"; exit 1; }
}

# What ends what the other requests stand on has runs of its own, so that nothing is hidden by it.
endings='^(leaveGroup|deleteGroup|removeMember|eraseMe|logout|logoutToo|logoutPage)$'
run mia --exclude-operation-id-regex "$endings" --max-examples 16
run xaver --exclude-operation-id-regex "$endings" --max-examples 4 --phases examples,coverage,fuzzing
run nobody --max-examples 3 --phases examples,coverage,fuzzing
DEUCED_ENDINGS=1 run olga --include-operation-id-regex '^(leaveGroup|deleteGroup|removeMember)$' --max-examples 20 --phases examples,coverage,fuzzing
run dora --include-operation-id-regex '^(logout|logoutToo|logoutPage)$' --max-examples 5 --phases coverage,fuzzing
run emil --include-operation-id eraseMe --max-examples 5 --phases coverage,fuzzing

kill -0 "$server" || { cat "$work/err"; echo "the server has gone"; exit 1; }
if grep -iE 'panick|went wrong' "$work/err"; then echo "the server has had a fault"; exit 1; fi
