# A life with the Debian package, in a booted Debian (tests/package.sh): installed, claimed, used, upgraded, stopped,
# disabled, removed, purged.
set -euo pipefail
. tests/package/common.sh
version=$1
export DEBIAN_FRONTEND=noninteractive
installs() { dpkg --install --force-confdef "$1" >/tmp/dpkg 2>&1 || { cat /tmp/dpkg; return 1; }; }

ok "a package for another machine is refused" not installs /packages/foreign/deuced.deb
dpkg --purge deuced >/dev/null 2>&1 || true

begin=$(date +%s%N)
ok "it installs" installs /packages/old.deb
ok "it answers" waits
took=$((($(date +%s%N) - begin) / 1000000))
ok "from dpkg to the first answer in under 10 s: $took ms" [ "$took" -lt 10000 ]
ok "the service is enabled" is is-enabled deuced.service enabled
ok "the backup's timer is enabled" is is-enabled deuced-backup.timer enabled
ok "the timer runs" is is-active deuced-backup.timer active
ok "the socket is the administrator's choice" is is-enabled deuced.socket disabled
secret=$(sed -n 's/.*\/claim#\([A-Za-z0-9_-]*\).*/\1/p' /tmp/dpkg | head -1)
ok "the claim link is printed" [ ${#secret} = 43 ]
ok "the data is nobody else's" [ "$(stat -c %a:%U:%G /var/lib/deuced)" = 700:deuced:deuced ]
ok "the settings are not for everybody" [ "$(stat -c %a:%U:%G /etc/deuced)" = 750:root:deuced ]
ok "the settings are understood" deuced check-config
ok "the link makes an owner, who writes" claims "$secret"
ok "root's commands find the diary" deuced user list
ok "they leave nothing of root's there" [ -z "$(find /var/lib/deuced -user root)" ]
ok "the manual pages are there" test -s /usr/share/man/man8/deuced.8.gz -a -s /usr/share/man/man5/deuced.toml.5.gz

printf '\n# mine\n' >>/etc/deuced/deuced.toml
mine=$(sha256sum </etc/deuced/deuced.toml)
process=$(systemctl show --property=MainPID --value deuced)
before=$(backups)
ok "it upgrades" installs /packages/new.deb
ok "it answers again" waits
ok "the new version runs" [ "$(dpkg-query -W -f='${Version}' deuced)" = "$version" ]
ok "it was started anew" not [ "$(systemctl show --property=MainPID --value deuced)" = "$process" ]
ok "a verified backup was made before" [ "$(backups)" = $((before + 1)) ]
ok "the edited settings are kept, without a question" [ "$(sha256sum </etc/deuced/deuced.toml)" = "$mine" ]
ok "no link is shown once there is an owner" not grep -q '/claim#' /tmp/dpkg
ok "the login and the entry are kept" keeps

systemctl stop deuced.service
ok "an upgrade while it is stopped" installs /packages/new.deb
ok "stopped stays stopped" is is-active deuced.service inactive
systemctl disable --quiet deuced.service
ok "an upgrade while it is disabled" installs /packages/new.deb
ok "disabled stays disabled" is is-enabled deuced.service disabled

cp -a /var/lib/deuced /root/diary
earlier_diary
ok "a diary of an earlier schema" [ "$(schema)" = 12 ]
ok "an upgrade with it" installs /packages/new.deb
ok "it was backed up first" [ "$(backups)" = 1 ]
ok "it starts" systemctl start deuced.service
ok "it answers" waits
ok "it was migrated" [ "$(schema)" -gt 12 ]
ok "with a copy of before" test -s /var/lib/deuced/deuced.db.before-step-0012
ok "the entries of then are there" [ "$(python3 -c 'import sqlite3; print(sqlite3.connect("/var/lib/deuced/deuced.db").execute("SELECT count(*) FROM entry").fetchone()[0])')" = 2 ]
systemctl stop deuced.service

# Where no backup can be made, nothing is changed.
chown -R deuced: /var/lib/deuced
truncate -s 4096 /var/lib/deuced/deuced.db
ok "no backup, no upgrade" not installs /packages/new.deb
ok "it says so" grep -q 'no backup could be made, so nothing was changed' /tmp/dpkg
ok "unless it is told to" env DEUCED_NO_BACKUP=1 dpkg --install --force-confdef /packages/new.deb
rm -rf /var/lib/deuced
mv /root/diary /var/lib/deuced

systemctl enable --quiet --now deuced.service
ok "the diary again" waits
ok "it is what it was" keeps
ok "it is removed" dpkg --remove deuced
ok "nothing answers any more" not answers
ok "the diary and the settings stay" test -s /var/lib/deuced/deuced.db -a -s /etc/deuced/deuced.toml
ok "it is installed once more" installs /packages/new.deb
ok "with the same diary" waits
ok "and the same people" logs_in
ok "it is purged" dpkg --purge deuced
cp /tmp/said /tmp/purged
ok "which says where the diary is" grep -q 'the diary was not deleted: it is in /var/lib/deuced' /tmp/purged
ok "the diary stays" test -s /var/lib/deuced/deuced.db
left=$(find /etc /usr/bin /usr/lib/sysusers.d /lib/systemd /usr/share /var/lib/systemd -name '*deuced*' ! -path '/usr/share/lintian/*' | grep -v '^/etc/\(passwd\|group\)' || true)
ok "nothing else does: $left" [ -z "$left" ]
echo "the package: $passed passed, install to first answer $took ms"
