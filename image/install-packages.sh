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
    command -v apt-get >/dev/null || fail "Debian 12 or newer is needed (there is no apt-get here)"
    [ "$(id -u)" -eq 0 ] || fail "these packages are missing and only root can install them: ${missing[*]}"

    echo "==> Debian: installing packages (a few minutes): ${missing[*]}"
    apt update || fail "the package lists could not be fetched: is there a network?"
    [[ " ${missing[*]} " != *" qemu-system-x86 "* ]] || pair_qemu
    apt install --yes --no-install-recommends "${missing[@]}" || fail "the packages could not be installed"
}

# The version of an installed package.
installed() {
    dpkg-query --show --showformat '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null | sed -n 's/^installed //p' | grep .
}

# apt-get, whose output is shown only when it fails: a minimal machine makes it complain about debconf.
apt() {
    local output
    output=$(apt-get --quiet --quiet -o DPkg::Lock::Timeout=600 -o Dir::Etc::SourceParts="${sources:-/etc/apt/sources.list.d}" "$@" 2>&1) && return
    echo "$output" >&2
    return 1
}

# qemu-system-x86 and qemu-utils conflict across suites. Where qemu-utils came from backports, and backports
# are no longer among this machine's sources, they are used for this one call.
pair_qemu() {
    local utils
    installed qemu-system-x86 >/dev/null && return
    utils=$(installed qemu-utils) || return 0
    offered "$utils" || use_backports
    offered "$utils" || fail "qemu-utils $utils is installed, but no source offers qemu-system-x86 of that version"
    apt install --yes --no-install-recommends --target-release "$(suite_of "$utils")" "qemu-system-x86=$utils" ||
        fail "qemu-system-x86 $utils, which goes with the installed qemu-utils, could not be installed"
    unset sources
}

# The lists below are read to their end: under `pipefail` a reader that stops early (`grep -q`, `head`) fails its producer by SIGPIPE.
offered() {
    [ -n "$(suite_of "$1")" ]
}

# The suite that offers this version of qemu-system-x86, if any.
suite_of() {
    apt-cache -o Dir::Etc::SourceParts="${sources:-/etc/apt/sources.list.d}" madison qemu-system-x86 |
        awk -F' *[|] *' -v version="$1" '$2 == version && !suite { split($3, words, " "); split(words[2], parts, "/"); suite = parts[1] }
            END { print suite }'
}

use_backports() {
    local codename mirror
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' "Codename: $codename" | sed -n 1p)
    sources=$(mktemp -d)
    # Its name stays known when the sources are forgotten, which they are before the script ends.
    trap "rm -rf '$sources'" EXIT
    cp -a /etc/apt/sources.list.d/. "$sources"
    cat >"$sources/backports.sources" <<-EOF
	Types: deb
	URIs: $mirror
	Suites: $codename-backports
	Components: main
	Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
	EOF
    apt update || fail "the package lists of $codename-backports could not be fetched: is there a network?"
}

fail() {
    echo "$0: $*" >&2
    exit 1
}

main "$@"
