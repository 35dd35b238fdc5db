# To be sourced, from the root of the checkout: the Python tools below target/, and a server with a household on a
# fresh data directory. Sets here, tools, work, DEUCED_URL and DEUCED_WORLD; the server ends with the script.
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
if ! "$tools/bin/python" -c 'import schemathesis, websockets' 2>/dev/null; then
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
fi

for person in olga mia ben cara xaver dora emil; do
    admin=; [ "$person" = olga ] && admin=--admin
    echo "password of $person" | "$binary" user add "$person" $admin --password-stdin --data "$work/data" >/dev/null
done
# Paces and the numbers of things are raised, because a thousand requests a minute are what this is.
limits=()
for name in $("$binary" limits | awk '{ print $1 }' | grep -E '_per_minute$|^login_failures'); do limits+=(--limit "$name=1000000000"); done
for name in users members_per_group groups_per_user invites_per_group devices_per_user locations_per_user reactions_per_entry rooms; do
    limits+=(--limit "$name=10000")
done
"$binary" serve --data "$work/data" --listen 127.0.0.1:0 "${limits[@]}" >"$work/out" 2>"$work/err" &
server=$!
for _ in $(seq 200); do
    [ -s "$work/data/address" ] && break
    kill -0 "$server" 2>/dev/null || { cat "$work/err"; echo "the server did not start"; exit 1; }
    sleep 0.1
done
export DEUCED_URL="http://$(cat "$work/data/address")" DEUCED_WORLD="$work/world.json" PYTHONDONTWRITEBYTECODE=1
"$tools/bin/python" "$here/world.py"

# Fails when the server has gone, or has said that it had a fault.
judge_server() {
    kill -0 "$server" || { cat "$work/err"; echo "the server has gone"; exit 1; }
    if grep -iE 'panick|went wrong' "$work/err"; then echo "the server has had a fault"; exit 1; fi
}
