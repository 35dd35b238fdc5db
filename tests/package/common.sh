# For what runs in a booted Debian with the packages at /packages; to be sourced.

url=http://127.0.0.1:8222
passed=0
# ok WORDS COMMAND…: holds, or ends the test.
ok() {
    local words=$1; shift
    if ! "$@" >/tmp/said 2>&1; then
        echo "FAILED: $words"
        cat /tmp/said
        journalctl --quiet --no-pager -n 40 -u deuced.service -u deuced-backup.service || true
        exit 1
    fi
    echo "ok: $words"
    passed=$((passed + 1))
}
not() { ! "$@"; }
answers() { curl -fsS -m 5 "$url/api/health"; }
waits() {
    for _ in $(seq 100); do
        answers >/dev/null 2>&1 && return
        sleep 0.1
    done
    return 1
}
is() { [ "$(systemctl "$1" "$2" 2>/dev/null)" = "$3" ] || { systemctl status "$2"; return 1; }; }
ann() { curl -fsS -m 10 -b /tmp/ann -c /tmp/ann -H 'Content-Type: application/json' "$@"; }
claims() {
    ann "$url/api/claim" -d "{\"secret\":\"$1\",\"username\":\"Ann\",\"password\":\"correct horse battery\"}" &&
        group=$(ann "$url/api/groups" -d '{"name":"Home"}' | sed 's/^{"id":"\([^"]*\)".*/\1/') &&
        ann "$url/api/deuces" -d "{\"groupIds\":[\"$group\"],\"location\":\"Home\",\"thoughts\":\"kept\"}"
}
keeps() { ann "$url/api/deuces?limit=10" | grep -q '"thoughts":"kept"'; }
logs_in() { ann "$url/api/login" -d '{"username":"Ann","password":"correct horse battery"}'; }
backups() { find /var/lib/deuced -path '*/backups/*.db' | wc -l; }

# Puts a diary of schema 12 in place of the one that is there; the server does not run.
earlier_diary() {
    rm -rf /var/lib/deuced/*
    python3 - <<'PYTHON'
import sqlite3
db = sqlite3.connect("/var/lib/deuced/deuced.db")
db.executescript(open("/src/tests/fixtures/0012/deuced.sql").read())
db.close()
PYTHON
    cp -r /src/tests/fixtures/0012/pictures /var/lib/deuced/
    chown -R deuced:deuced /var/lib/deuced
    chmod -R go= /var/lib/deuced
}
schema() { python3 -c 'import sqlite3; print(sqlite3.connect("file:/var/lib/deuced/deuced.db?mode=ro", uri=True).execute("PRAGMA user_version").fetchone()[0])'; }
