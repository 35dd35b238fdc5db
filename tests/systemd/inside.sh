#!/usr/bin/env bash
# Runs in the machine that boot.sh boots: inside.sh BINARY. Every line that begins with "ok" is something that was seen;
# the first thing that is not so ends it.
set -euo pipefail
binary=$1
units=/etc/systemd/system
data=/var/lib/deuced
passed=0

say() { printf '\n-- %s\n' "$*"; }
ok() { passed=$((passed + 1)); echo "ok   $1"; }
fail() {
    echo "FAIL $1"
    systemctl status --no-pager --full deuced.service deuced.socket deuced-backup.service 2>/dev/null | tail -60 || true
    journalctl --no-pager -q -n 40 -u deuced -u deuced-backup || true
    exit 1
}
# check WHAT COMMAND...: it works. refuse WHAT COMMAND...: it does not.
check() { local what=$1; shift; "$@" >/tmp/said 2>&1 && ok "$what" || { cat /tmp/said; fail "$what   [$*]"; }; }
refuse() { local what=$1; shift; ! "$@" >/tmp/said 2>&1 && ok "$what" || { cat /tmp/said; fail "$what   [$*]"; }; }
same() { [ "$2" = "$3" ] && ok "$1" || fail "$1: '$2' and not '$3'"; }
has() { case "$2" in *"$3"*) ok "$1" ;; *) fail "$1: '$3' is not in '$2'" ;; esac; }
show() { systemctl show --value -p "$2" "$1"; }
# within SECONDS COMMAND...: it works in time.
within() {
    local tries=$(($1 * 20)); shift
    for _ in $(seq "$tries"); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done
    return 1
}
get() { curl -fsS -m 10 "http://127.0.0.1:8222$1" "${@:2}"; }
drop_in() { mkdir -p "$units/$1.d"; cat >"$units/$1.d/$2.conf"; systemctl daemon-reload; }
no_drop_in() { rm -f "$units/$1.d/$2.conf"; systemctl daemon-reload; }

say "the units as systemd reads them"
install -m 755 "$binary" /usr/bin/deuced
install -m 644 systemd/deuced.service systemd/deuced.socket systemd/deuced-backup.service systemd/deuced-backup.timer "$units"
install -m 644 systemd/deuced.sysusers /usr/lib/sysusers.d/deuced.conf
names="deuced.service deuced.socket deuced-backup.service deuced-backup.timer"
verify() { local said; said=$(SYSTEMD_UNIT_PATH="$1:" systemd-analyze verify --man=no $names 2>&1) && [ -z "$said" ] || { echo "$said"; return 1; }; }
check "verify has nothing to say" verify "$units"
# It ends with 0 for what it does not know; so whether it would say so is looked at, too.
mkdir /tmp/bad && cp "$units"/deuced* /tmp/bad && echo "Nonsense=yes" >>/tmp/bad/deuced-backup.timer
refuse "and would have, of a word it does not know" verify /tmp/bad
rate() { systemd-analyze security --no-pager --offline=true --threshold="$1" "$2"; }
rated() { systemd-analyze security --no-pager --offline=true "$1" | grep -o 'level for .*' | cut -d' ' -f3-4; }
merged() { mkdir -p "/tmp/$2" && cat "$units/deuced.service" "systemd/examples/$1.conf" >"/tmp/$2/deuced.service"; }
check "deuced.service is rated 1.2 or better: $(rated systemd/deuced.service)" rate 12 systemd/deuced.service
merged socket-only so
check "socket-only is rated 0.3 or better: $(rated /tmp/so/deuced.service)" rate 3 /tmp/so/deuced.service
check "the backup is rated 0.3 or better: $(rated systemd/deuced-backup.service)" rate 3 systemd/deuced-backup.service
for example in lan-only backup-usb; do
    unit=deuced; [ $example = backup-usb ] && unit=deuced-backup
    rm -rf /tmp/one && mkdir /tmp/one && cp "$units"/deuced* /tmp/one && cat systemd/examples/$example.conf >>/tmp/one/$unit.service
    check "verify has nothing to say of $example" verify /tmp/one
done

say "started"
check "the account is made" systemd-sysusers deuced.conf
check "and can be made again" systemd-sysusers deuced.conf
mkdir /etc/deuced && deuced config file >/etc/deuced/deuced.toml
systemctl daemon-reload
drop_in deuced.service test <<<$'[Service]\nEnvironment=DEUCED_OPEN=1\nEnvironment=DEUCED_LIMIT="api_requests_per_minute=1000000 deuces_per_minute=1000000 deuces_per_day=1000000"\nRestartSec=100ms'
check "start waits until it is ready" systemctl start deuced.service
check "so it answers at once" get /api/health
has "the status says what it does" "$(show deuced StatusText)" "serving $data on [::]:8222; 0 people on 0 sockets"
pid=$(show deuced MainPID)
same "it runs as deuced" "$(stat -c %U:%G /proc/"$pid")" deuced:deuced
same "its folder is its own" "$(stat -c %a:%U "$data")" 700:deuced
same "the diary is its own" "$(stat -c %a:%U "$data"/deuced.db)" 600:deuced
has "the journal knows priorities" "$(journalctl -q -u deuced -p info -o json --no-pager | grep 'serves /var')" '"PRIORITY":"6"'
refuse "which are no part of the words" grep -q '^<' <(journalctl -q -u deuced -o cat --no-pager)

say "the sandbox, from inside"
status() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$pid/status"; }
same "no capabilities" "$(status CapEff) $(status CapBnd) $(status CapAmb)" "0000000000000000 0000000000000000 0000000000000000"
same "seccomp filters" "$(status Seccomp)" 2
same "no new privileges" "$(status NoNewPrivs)" 1
sed -e 's/^Type=.*/Type=oneshot/' -e 's|^ExecStart=.*|ExecStart=/usr/bin/python3 /src/tests/systemd/probe.py|' \
    -e '/^\(Watchdog\|Restart\|NotifyAccess\)/d' systemd/deuced.service >"$units/probe.service"
systemctl daemon-reload
systemctl start probe.service || fail "the probe: $(journalctl -q -u probe -o cat --no-pager)"
journalctl -q -u probe -o cat --no-pager | grep '^ok ' | sed 's/^ok/ok  /'
probes=$(journalctl -q -u probe -o cat --no-pager | grep -c '^ok ')
[ "$probes" -ge 15 ] || fail "the probe has seen $probes things"
passed=$((passed + probes))

say "a server that hangs, and one that crashes"
cookie=$(get /api/login -c - -o /dev/null -H 'Content-Type: application/json' -d '{"username":"Ann"}' | awk '$6 == "deuced" { print $7 }')
login() { get "$1" -b "deuced=$cookie" -H 'Content-Type: application/json' "${@:2}"; }
group=$(login /api/groups -d '{"name":"Home"}' | python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')
log() { login /api/deuces -d "{\"groupId\":\"$group\",\"location\":\"Home\",\"thoughts\":\"$1\"}"; }
entries() { login "/api/groups/$group" | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["entries"]))'; }
check "an entry is written" log one
check "root may look after accounts beside it" deuced user list --data $data
same "and leaves nothing of root's behind" "$(find $data ! -user deuced)" ""
drop_in deuced.service watchdog <<<$'[Service]\nWatchdogSec=2'
systemctl restart deuced
sleep 4.5
same "a watchdog of 2 s is fed" "$(show deuced NRestarts)" 0
kill -STOP "$(show deuced MainPID)"
restarted() { [ "$(show deuced NRestarts)" -ge "$1" ] && [ "$(show deuced ActiveState)" = active ]; }
check "a process that hangs is ended and started anew" within 10 restarted 1
has "because of the watchdog" "$(journalctl -q -u deuced -o cat --no-pager)" "Failed with result 'watchdog'"
no_drop_in deuced.service watchdog
kill -KILL "$(show deuced MainPID)"
check "so is one that was killed" within 10 restarted 2
same "and has everything" "$(entries)" 1
drop_in deuced.service wrong <<<$'[Service]\nEnvironment=DEUCED_LISTEN=nowhere'
systemctl reset-failed deuced
refuse "settings it does not understand" systemctl restart deuced
sleep 1
same "are not tried twice" "$(show deuced NRestarts) $(show deuced ExecMainStatus)" "0 2"
no_drop_in deuced.service wrong
systemctl stop deuced
cp -p $data/deuced.db /tmp/whole && printf 'this was a diary once' | dd of=$data/deuced.db conv=notrunc status=none
systemctl reset-failed deuced || true
refuse "a diary that is damaged" systemctl start deuced
sleep 1
same "is not tried twice either" "$(show deuced NRestarts) $(show deuced ExecMainStatus)" "0 65"
cp -p /tmp/whole $data/deuced.db
systemctl reset-failed deuced || true

say "the socket keeps the port"
check "the socket listens alone" systemctl start deuced.socket
same "and nobody runs" "$(show deuced ActiveState)" inactive
check "the first request starts the server" get /api/health
same "which runs" "$(show deuced ActiveState)" active
has "on the inherited socket" "$(show deuced StatusText)" "on [::]:8222"
python3 tests/systemd/load.py "$cookie" "$group" >/tmp/load 2>&1 &
load=$!
check "the load begins" within 10 grep -q running /tmp/load
for _ in 1 2 3 4 5; do sleep 0.4; systemctl restart deuced; done
sleep 0.4
kill -TERM "$load"
wait "$load" || { cat /tmp/load; fail "five restarts under load"; }
ok "five restarts under load: $(tail -1 /tmp/load)"
same "what was answered is there, once" "$(entries)" "$((1 + $(sed -n 's/.* \([0-9]*\) entries.*/\1/p' /tmp/load)))"

say "a server without a network"
mkdir -p "$units/deuced.service.d" && cp systemd/examples/socket-only.conf "$units/deuced.service.d/"
systemctl daemon-reload
check "starts" systemctl restart deuced
check "and answers" get /api/health
pid=$(show deuced MainPID)
[ "$(readlink /proc/"$pid"/ns/net)" != "$(readlink /proc/1/ns/net)" ] && ok "in a network of its own" || fail "the network is the machine's"
same "that leads nowhere" "$(nsenter -t "$pid" -n ip -o link | grep -c -v 'lo:' || true)" 0
check "and writes" log two
no_drop_in deuced.service socket-only
systemctl stop deuced.socket deuced.service

say "the home network only"
cp systemd/examples/lan-only.conf "$units/deuced.service.d/" && systemctl daemon-reload
check "starts" systemctl start deuced
check "it answers this machine" get /api/health
ip address add 203.0.113.7/32 dev lo
outside() { curl -fsS -m 2 --interface 203.0.113.7 http://203.0.113.7:8222/api/health; }
refuse "and nobody who comes from elsewhere" outside
no_drop_in deuced.service lan-only
systemctl restart deuced
check "who is heard without it" outside
systemctl stop deuced
mkdir -p "$units/deuced.socket.d" && sed 's/^\[Service\]/[Socket]/' systemd/examples/lan-only.conf >"$units/deuced.socket.d/lan-only.conf"
systemctl daemon-reload
check "the same for the socket" systemctl start deuced.socket
check "answers this machine" get /api/health
refuse "and nobody who comes from elsewhere" outside
systemctl stop deuced.socket deuced.service
no_drop_in deuced.socket lan-only
systemctl start deuced

say "a secret that only root can read"
install -d -m 700 /etc/credstore && (umask 077 && echo "a-secret-of-the-household-0123456789" >/etc/credstore/deuced.metrics_token)
systemctl restart deuced
metrics() { curl -fsS -m 5 "http://203.0.113.7:8222/metrics" "$@"; }
refuse "from elsewhere /metrics is closed" metrics
check "but to whoever has the secret" metrics -H "Authorization: Bearer a-secret-of-the-household-0123456789"
rm /etc/credstore/deuced.metrics_token

say "backups"
check "a backup beside the running server" systemctl start deuced-backup.service
copies() { find "$1" -name '*.db' 2>/dev/null | wc -l; }
same "is one file" "$(copies $data/backups)" 1
same "of its own" "$(stat -c %a:%U "$(find $data/backups -name '*.db')")" 600:deuced
copy=$(find $data/backups -name '*.db')
check "is whole and can be read" deuced verify "$copy"
check "the timer" systemctl start deuced-backup.timer
has "has a next time" "$(systemctl list-timers --no-pager deuced-backup.timer)" "deuced-backup.service"
systemctl stop deuced
systemctl reset-failed deuced || true
check "a backup while the server does not run" systemctl start deuced-backup.service
before=$(systemctl start deuced && entries)
check "an entry more" log three
systemctl stop deuced
check "root puts the copy in the place of the diary" deuced restore "$copy" --yes --data $data
same "nothing of it is root's" "$(find $data ! -user deuced)" ""
check "and the server starts with it" systemctl start deuced
same "as it was" "$(entries)" "$before"
mkdir -p "$units/deuced-backup.service.d" /mnt/backup && cp systemd/examples/backup-usb.conf "$units/deuced-backup.service.d/"
systemctl daemon-reload
refuse "without the disk there is none" systemctl start deuced-backup.service
same "and nothing below its place" "$(find /mnt/backup | wc -l)" 1
mount -t tmpfs -o mode=755 tmpfs /mnt/backup && install -d -o deuced -g deuced -m 700 /mnt/backup/deuced
check "with the disk there is" systemctl start deuced-backup.service
same "a file on it" "$(copies /mnt/backup)" 1

printf '\n%s things held\n' "$passed"
