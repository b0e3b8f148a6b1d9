#!/bin/bash
# Runs the first command of the README, `make demo`, on a Debian 12 that has nothing: test-fresh.sh plain|backports
#
#   plain      what debootstrap makes at its smallest, and `make`
#   backports  the same with qemu-utils from backports, which were taken off the sources again
#
# The tree is in target/fresh/VARIANT for as long as that lasts (KEEP=1: longer), the log in
# target/fresh/VARIANT.log; FRESH_LIMIT is how many seconds it may take (7200). What runs in the tree
# has mount and process namespaces of its own, and ends with them, mounts and all, however this script
# ends. Registries are reached as on this machine: its settings of apt, pip and cargo, name servers,
# authorities and variables are copied. Credentials are not.
set -euo pipefail

main() {
    [ $# = 1 ] && [[ $1 = plain || $1 = backports ]] || fail "which variant: plain or backports?"
    [ "$(id -u)" -eq 0 ] || fail "only root can do this"
    grep -q '^VERSION_CODENAME=bookworm$' /etc/os-release || fail "Debian 12 is needed: its package sources are copied"
    checkout=$(cd "$(dirname "$0")/../.." && pwd)
    fresh=$checkout/target/fresh
    variant=$1
    tree=$fresh/$variant
    log=$fresh/$variant.log
    mkdir -p "$fresh"
    export checkout fresh variant tree
    [ -z "$(git -C "$checkout" status --porcelain)" ] || echo "    What is not committed is not tested."
    clear_away
    [ -n "${KEEP:-}" ] || trap clear_away EXIT

    local start=$SECONDS status=0
    echo "==> fresh: $variant, in $tree (about half an hour; at most $((LIMIT / 60)) minutes)"
    # Killed, because unshare ends by nothing less, also when this script is interrupted: its child, the
    # first process in there, goes with it, and all others with that.
    timeout --foreground --signal=KILL "$LIMIT" \
        setpriv --pdeathsig KILL -- unshare --mount --pid --fork --kill-child --mount-proc -- bash "$0" --inside 2>&1 | tee "$log" || status=$?
    [ $status -eq 0 ] || fail "$variant: ended with $status after $((SECONDS - start)) s; its log is $log"
    check_screen
    echo "==> fresh: $variant passed in $((SECONDS - start)) s"
}

# No mount of the tree's is seen out here.
clear_away() {
    rm -rf --one-file-system "$tree" "$tree.debootstrap"
}

# What `make demo` showed: nothing that frightens a newcomer, and the end that was wanted.
check_screen() {
    local noise
    noise=$(sed "1,/^$MARK\$/d" "$log" | grep -nE "$NOISE" || true)
    [ -z "$noise" ] || fail "$variant: this is on the screen and should not be:"$'\n'"$noise"
    grep -qF "$WANTED" "$log" || fail "$variant: \"$WANTED\" is not in $log"
}

# The first process of the namespaces: makes the tree, moves into it, and types the command.
inside() {
    local codename=bookworm mirror proxy variables=()
    apt-cache show base-files >/dev/null 2>&1 || apt-get -qq update
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' "Codename: $codename" | sed -n 1p)
    [ -n "$mirror" ] || fail "this machine has no mirror of Debian among its package sources"
    eval "$(apt-config shell proxy Acquire::http::Proxy)"
    [ -z "${proxy:-}" ] || export http_proxy=$proxy
    mkdir -p "$fresh/packages"
    debootstrap --variant=minbase --cache-dir="$fresh/packages" $codename "$tree" "$mirror" >"$tree.debootstrap" 2>&1 ||
        fail "debootstrap failed: $(tail -n 5 "$tree.debootstrap")"
    hand_over
    git clone --quiet --depth 1 "file://$checkout" "$tree/root/ferrite"
    mapfile -t variables < <(env | grep -E "^($HANDED_OVER)=")

    mount --bind "$tree" "$tree"
    cd "$tree"
    mount --rbind /dev dev
    mount --rbind /sys sys
    mount -t proc proc proc
    mkdir host
    pivot_root . host
    cd /root/ferrite
    umount -l /host
    rmdir /host
    exec env -i HOME=/root TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        variant="$variant" "${variables[@]}" bash tests/support/test-fresh.sh --in-the-tree
}

# How this machine reaches its registries. What is not there is not copied.
hand_over() {
    local file
    rm -f "$tree/etc/apt/sources.list"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/trusted.gpg /etc/apt/trusted.gpg.d /etc/apt/keyrings \
        /usr/share/keyrings /usr/local/share/ca-certificates /etc/pip.conf /root/.config/pip/pip.conf /root/.pip/pip.conf \
        /root/.cargo/config /root/.cargo/config.toml /etc/resolv.conf /etc/hosts; do
        [ -e "$file" ] || continue
        mkdir -p "$tree${file%/*}"
        cp -RLT "$file" "$tree$file"
    done
    apt-config dump --format '%F "%v";%n' | grep '^Acquire::' | grep -v '^Acquire::IndexTargets' >"$tree/etc/apt/apt.conf.d/00host" || true
    for file in ${PIP_FIND_LINKS:-}; do
        [ -d "$file" ] || continue
        mkdir -p "$tree$file"
        mount --bind -o ro "$file" "$tree$file"
    done
}

# A newcomer's first steps.
in_the_tree() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update
    apt-get -qq install --no-install-recommends make >/dev/null 2>&1
    [ "$variant" != backports ] || install_from_backports qemu-utils
    unset DEBIAN_FRONTEND variant
    echo "$MARK"
    make demo
    local found
    found=$(cd target/lab/venv && echo *)
    [ "$found" = "$ENVIRONMENTS" ] || fail "Python environments that the demo does not need: $found"
}

install_from_backports() {
    local mirror file=/etc/apt/sources.list.d/backports-for-a-moment.sources
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Codename: bookworm' | sed -n 1p)
    printf '%s\n' 'Types: deb' "URIs: $mirror" 'Suites: bookworm-backports' 'Components: main' \
        'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' >"$file"
    apt-get -qq update
    apt-get -qq install --no-install-recommends --target-release bookworm-backports "$1" >/dev/null 2>&1
    rm "$file"
    apt-get -qq update
    dpkg-query --show "$1" | grep bpo || fail "$1 did not come from backports"
}

fail() {
    echo "test-fresh: $*" >&2
    exit 1
}

LIMIT=${FRESH_LIMIT:-7200}
MARK='--- make demo'
WANTED='done: the disk that Ferrite wrote has booted'
NOISE='DEPRECATION|debconf|dpkg-preconfigure|^(W|E|N): |[Ww]arning: |WARNING'
ENVIRONMENTS='ironic-39.0.0 sushy-tools'
# Variables that say how a registry is reached.
HANDED_OVER='(http|https|ftp|all|no)_proxy|(HTTP|HTTPS|FTP|ALL|NO)_PROXY|PIP_[A-Z_]+|CARGO_(HTTP|NET|SOURCE)_[A-Z_]+|CARGO_REGISTR(Y|IES)_[A-Z_]*(INDEX|PROTOCOL|DEFAULT)|SSL_CERT_(FILE|DIR)|CURL_CA_BUNDLE|REQUESTS_CA_BUNDLE'

case ${1:-} in
--inside) inside ;;
--in-the-tree) in_the_tree ;;
*) main "$@" ;;
esac
