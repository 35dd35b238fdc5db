#!/usr/bin/env bash
# build-deb.sh BINARY ARCH FOLDER: makes FOLDER/deuced_VERSION_ARCH.deb of a release binary (amd64, arm64, armhf).
#
# Needs dpkg-deb, readelf and, for another machine's binary, its emulator: the settings file, the manual pages and the
# completions are what the binary itself says. Whatever is made with one SOURCE_DATE_EPOCH (the last commit's unless said
# otherwise) is the same byte for byte. VERSION names another version than Cargo.toml's, for tests of upgrading.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. packaging/contents.sh

begin "$@"
tree=$work/deuced
mkdir -p "$tree/DEBIAN"

contents "$binary" "$arch" "$tree" usr /usr/bin/deuced lib/systemd/system usr/lib/sysusers.d etc/deuced
install -Dm644 packaging/debian/copyright "$tree/usr/share/doc/deuced/copyright"
install -Dm644 packaging/debian/lintian-overrides "$tree/usr/share/lintian/overrides/deuced"
{
    printf 'deuced (%s) unstable; urgency=medium\n\n' "$version"
    printf '  * Release; CHANGELOG.md.gz says what changes for whoever runs it.\n\n'
    printf ' -- %s  %s\n' "$maintainer" "$(date -uR -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$tree/usr/share/doc/deuced/changelog.gz"

for name in preinst postinst prerm postrm; do
    sed "s#@ENABLED@#${enabled[*]}#g; s#@UNITS@#${units[*]}#g" "packaging/debian/$name" >"$tree/DEBIAN/$name"
    chmod 755 "$tree/DEBIAN/$name"
done
echo /etc/deuced/deuced.toml >"$tree/DEBIAN/conffiles"

# What of the C library it was linked against it really needs.
needed="libc6 (>= $(glibc_of "$binary"))"
readelf -d "$binary" | grep 'libgcc_s\.so' >/dev/null && needed="$needed, libgcc-s1"
cat >"$tree/DEBIAN/control" <<CONTROL
Package: deuced
Version: $version
Architecture: $arch
Maintainer: $maintainer
Installed-Size: $(du -ks --apparent-size --exclude=DEBIAN "$tree" | cut -f1)
Depends: $needed, init-system-helpers (>= 1.54~), systemd (>= 252)
Suggests: avahi-daemon
Section: net
Priority: optional
Description: server of a household's private group diary
 deuced keeps the diary of a household or a few friends on a machine of their
 own, such as a Raspberry Pi: accounts, groups, entries, reactions and chat over
 an HTTP API, and live events over WebSockets. It is one small program with one
 SQLite database, and it makes verified backups of it.
 .
 After the installation the server listens on port 8222 and prints a link; who
 opens it becomes the owner.
CONTROL
(cd "$tree" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
find "$tree" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$tree" "$out/deuced_${version}_$arch.deb"
