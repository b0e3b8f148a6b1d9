#!/bin/bash
# Changes the code in small ways (cargo-mutants) and looks whether a test fails: mutants.sh [AREA...]
#
# The areas are those of mutants.txt; without a name, all of them. What was found before is in target/mutants/AREA and is not tried
# again, so that a run that was interrupted goes on: `rm -r target/mutants/AREA` begins anew. Mutants that no test can tell from the
# code are in .cargo/mutants.toml, each with its reason.
#
# A mutant may do what the code refuses to do. So all runs in mount and process namespaces of its own, where reboot(2) ends the run
# and no more, and where this machine's disks, EFI variables and SysRq keys cannot be reached.
set -euo pipefail

main() {
    here=$(cd "$(dirname "$0")" && pwd)
    cd "$here/../.."
    [ "$(id -u)" -eq 0 ] || fail "only root can do this"
    [ $# -gt 0 ] || set -- $(sed -n 's/^\([a-z][a-z-]*\) .*/\1/p' "$here/mutants.txt")
    local area
    for area; do
        grep -q "^$area " "$here/mutants.txt" || fail "there is no area $area in tests/support/mutants.txt"
    done
    setpriv --pdeathsig KILL -- unshare --mount --pid --fork --kill-child --mount-proc -- bash "$0" --inside "$@"
}

inside() {
    shut_away
    local area files binaries names missed=0
    for wanted; do
        while read -r area files binaries names; do
            [ "$area" = "$wanted" ] || continue
            echo "==> mutants: $area (a minute for each; results in target/mutants/$area)"
            run "$area" "$files" "$binaries" "$names" || missed=$((missed + 1))
        done <"$here/mutants.txt"
    done
    [ $missed -eq 0 ] || fail "mutants survived in $missed of $# areas: see target/mutants/*/mutants.out/missed.txt"
}

# run AREA FILES BINARIES NAMES
run() {
    local file binary arguments=()
    for file in ${2//,/ }; do
        arguments+=(--file "$file")
    done
    arguments+=(--)
    for binary in ${3//,/ }; do
        [ "$binary" = lib ] && arguments+=(--lib) || arguments+=(--test "$binary")
    done
    mkdir -p "target/mutants/$1"
    CARGO_TARGET_DIR=$PWD/target/mutants/build "${CARGO_PROGRAM:-cargo}" mutants --iterate --no-shuffle --test-tool nextest --output "target/mutants/$1" \
        --minimum-test-timeout 60 --colors never "${arguments[@]}" -E "not binary_id(ferrite) or test(/^($4)/)"
}

# Nothing of this machine's own that a mutant could harm is where it looks.
shut_away() {
    local disk node
    mount --make-rprivate /
    for disk in /sys/class/block/*; do
        case ${disk##*/} in loop* | ram* | zram*) continue ;; esac
        node=/dev/${disk##*/}
        [ ! -e "$node" ] || mount --bind /dev/null "$node"
    done
    [ ! -e /proc/sysrq-trigger ] || mount --bind /dev/null /proc/sysrq-trigger
    [ ! -d /sys/firmware/efi/efivars ] || mount -t tmpfs none /sys/firmware/efi/efivars
}

fail() {
    echo "mutants: $*" >&2
    exit 1
}

here=$(cd "$(dirname "$0")" && pwd)
if [ "${1:-}" = --inside ]; then
    shift
    inside "$@"
else
    main "$@"
fi
