#!/bin/bash
# Installs the Debian packages named as arguments, where they are missing.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

main() {
    local missing=()
    for package in "$@"; do
        installed "$package" >/dev/null || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    command -v apt-get >/dev/null || fail "this lab needs Debian 12 (there is no apt-get here)"
    [ "$(id -u)" -eq 0 ] || fail "these packages are missing and only root can install them: ${missing[*]}"

    echo "lab: installing ${missing[*]}"
    apt update >/dev/null || fail "the package lists could not be fetched: is there a network?"
    pair_qemu
    apt install --yes --no-install-recommends "${missing[@]}" >/dev/null || fail "the packages could not be installed"
}

# The version of an installed package.
installed() {
    dpkg-query --show --showformat '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null | sed -n 's/^installed //p' | grep .
}

# apt-get with the sources in use: the machine's own, or for qemu a copy of them with backports beside.
apt() {
    apt-get --quiet --quiet -o DPkg::Lock::Timeout=600 -o Dir::Etc::SourceParts="$sources" "$@"
}

# qemu-system-x86 and qemu-utils conflict across suites. Where qemu-utils came from backports, and backports
# are no longer among this machine's sources, they are used for this one package.
pair_qemu() {
    local utils
    installed qemu-system-x86 >/dev/null && return
    utils=$(installed qemu-utils) || return 0
    [ -n "$(suite_of "$utils")" ] || use_backports
    [ -n "$(suite_of "$utils")" ] ||
        fail "qemu-utils $utils is installed, but no source offers qemu-system-x86 of that version"
    apt install --yes --no-install-recommends --target-release "$(suite_of "$utils")" "qemu-system-x86=$utils" >/dev/null ||
        fail "qemu-system-x86 could not be installed"
    sources=$own_sources
}

# The suite that offers qemu-system-x86 of this version; nothing if none does.
suite_of() {
    apt-cache -o Dir::Etc::SourceParts="$sources" madison qemu-system-x86 |
        awk -v version="$1" '$3 == version && !found { split($6, suite, "/"); print suite[1]; found = 1 }'
}

use_backports() {
    local codename mirror
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' "Codename: $codename" |
        awk 'NR == 1')
    extended=$(mktemp -d)
    trap 'rm -rf "$extended"' EXIT
    cp -a "$own_sources/." "$extended"
    sources=$extended
    cat >"$extended/backports.sources" <<-EOF
	Types: deb
	URIs: $mirror
	Suites: $codename-backports
	Components: main
	Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
	EOF
    apt update >/dev/null || fail "the package lists of backports could not be fetched"
}

fail() {
    echo "lab: $*" >&2
    exit 1
}

own_sources=/etc/apt/sources.list.d
sources=$own_sources
main "$@"
