# A life with the tarball, in a booted Debian (tests/package.sh).
set -euo pipefail
. tests/package/common.sh
version=$1
for name in old new; do
    mkdir "/tmp/$name"
    # A Debian of this size has no xz.
    python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "/packages/$name.tar.xz" "/tmp/$name"
    mv "/tmp/$name"/*/* "/tmp/$name/"
done

ok "a tarball for another machine is refused" not /packages/foreign/tarball/install.sh
/packages/foreign/tarball/install.sh >/tmp/refused 2>&1 || true
ok "it says why" grep -q "this is for .*, and this system is $(dpkg --print-architecture)" /tmp/refused
begin=$(date +%s%N)
/tmp/old/install.sh >/tmp/installed 2>&1 || { cat /tmp/installed; exit 1; }
ok "it installs and answers" waits
echo "    after $((($(date +%s%N) - begin) / 1000000)) ms"
secret=$(sed -n 's/.*\/claim#\([A-Za-z0-9_-]*\).*/\1/p' /tmp/installed | head -1)
ok "the claim link is printed" [ ${#secret} = 43 ]
ok "the link makes an owner, who writes" claims "$secret"
ok "the program is in /usr/local" [ "$(readlink "/proc/$(systemctl show --property=MainPID --value deuced)/exe")" = /usr/local/bin/deuced ]
printf '\n# mine\n' >>/etc/deuced/deuced.toml
before=$(backups)
ok "it upgrades" /tmp/new/install.sh
ok "it answers again" waits
ok "a verified backup was made before" [ "$(backups)" = $((before + 1)) ]
ok "settings, login and entry are kept" keeps
ok "the settings are" grep -q '^# mine' /etc/deuced/deuced.toml
systemctl disable --quiet --now deuced.service
ok "it upgrades while it is stopped" /tmp/new/install.sh
ok "stopped stays stopped" is is-active deuced.service inactive
ok "disabled stays disabled" is is-enabled deuced.service disabled
printf x >>/tmp/new/files/usr/local/bin/deuced
ok "a changed file is refused" not /tmp/new/install.sh
ok "it is removed" /tmp/old/install.sh --uninstall
ok "the diary and the settings stay" test -s /var/lib/deuced/deuced.db -a -s /etc/deuced/deuced.toml
ok "it is installed again" /tmp/old/install.sh
ok "with the same diary" waits
ok "it is purged" /tmp/old/install.sh --uninstall --purge
ok "the diary stays" test -s /var/lib/deuced/deuced.db
left=$(find /etc /usr/local /usr/lib/sysusers.d -name '*deuced*' || true)
ok "nothing else does: $left" [ -z "$left" ]
ok "a package that is there is not overlaid" dpkg --install /packages/new.deb
ok "but named" not /tmp/old/install.sh
echo "the tarball: $passed passed"
