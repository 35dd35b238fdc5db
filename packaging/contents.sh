# What the .deb and the tarball have in common; to be sourced from the top of the checkout.

version=${VERSION:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)}
maintainer='deuced <deuced@localhost>'
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}

units=(deuced.service deuced.socket deuced-backup.service deuced-backup.timer)
# Those that are enabled by an installation; deuced.socket is the administrator's choice.
enabled=(deuced.service deuced-backup.timer)

# begin BINARY ARCH FOLDER: what every package begins with. Sets binary, arch, out and, until the script ends, work.
begin() {
    binary=$(readlink -f "$1") arch=$2
    mkdir -p "$3"
    out=$(readlink -f "$3")
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    umask 022
}

# The newest version of the C library that a binary asks for.
glibc_of() {
    local found
    found=$(readelf -W -V "$1" | grep -oE 'GLIBC_[0-9.]+' | sort -Vu | tail -1 | cut -d_ -f2)
    [ -n "$found" ] || { echo "packaging: $1 names no version of the C library" >&2; return 1; }
    echo "$found"
}

# What runs a binary of another architecture here.
runner_of() {
    local here
    here=$(dpkg --print-architecture)
    case $here/$1 in
    "$1/$1") ;;
    */arm64) echo "qemu-aarch64-static -L /usr/aarch64-linux-gnu" ;;
    */armhf) echo "qemu-arm-static -L /usr/arm-linux-gnueabihf" ;;
    *) echo "packaging: nothing here runs programs for $1" >&2; return 1 ;;
    esac
}

# contents BINARY ARCH TREE PREFIX PATH UNITS SYSUSERS SETTINGS: fills TREE. PREFIX (usr, usr/local) is where programs,
# manuals and completions are, PATH the program's place in the units; the rest are folders.
contents() {
    local binary=$1 arch=$2 tree=$3 prefix=$4 path=$5 unit_folder=$6 sysusers=$7 settings=$8
    local doc=$tree/$prefix/share/doc/deuced file runner
    runner=$(runner_of "$arch")
    # The environment of whoever builds is nobody's default.
    says() { env -i PATH="$PATH" DEUCED_CONFIG= $runner "$binary" "$@"; }
    written() {
        local file=$1; shift
        mkdir -p "$(dirname "$file")"
        "$@" >"$file"
        [ -s "$file" ] || { echo "packaging: $* says nothing" >&2; return 1; }
        chmod 644 "$file"
    }

    install -Dm755 "$binary" "$tree/$prefix/bin/deuced"
    written "$tree/$settings/deuced.toml" says config file
    # Where an installed diary is, also for root's commands, which nobody hands a STATE_DIRECTORY.
    sed -i 's|^#data = ""$|data = "/var/lib/deuced"|' "$tree/$settings/deuced.toml"
    grep -q '^data = "/var/lib/deuced"$' "$tree/$settings/deuced.toml" || { echo "packaging: the settings have no data" >&2; return 1; }
    written "$tree/$prefix/share/man/man8/deuced.8" says man deuced.8
    written "$tree/$prefix/share/man/man5/deuced.toml.5" says man deuced.toml.5
    gzip -9n "$tree/$prefix"/share/man/man[58]/*
    written "$tree/$prefix/share/bash-completion/completions/deuced" says completions bash
    written "$tree/$prefix/share/zsh/vendor-completions/_deuced" says completions zsh
    written "$tree/$prefix/share/fish/vendor_completions.d/deuced.fish" says completions fish

    for file in systemd/*.service systemd/*.socket systemd/*.timer; do
        case $file in *.avahi.service) continue ;; esac
        written "$tree/$unit_folder/$(basename "$file")" sed "s#/usr/bin/deuced#$path#g" "$file"
    done
    install -Dm644 systemd/deuced.sysusers "$tree/$sysusers/deuced.conf"

    install -d "$doc/examples"
    install -m644 systemd/examples/*.conf systemd/deuced.avahi.service "$doc/examples/"
    install -m644 README.md "$doc/README.md"
    packaging/sbom.py notices | gzip -9n >"$doc/NOTICES.gz"
    gzip -9nc CHANGELOG.md >"$doc/CHANGELOG.md.gz"
}
