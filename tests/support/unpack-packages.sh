#!/bin/bash
# Adds the files of Debian packages to a folder, without installing them: unpack-packages.sh FOLDER PACKAGE…
set -euo pipefail
export LC_ALL=C

folder=$1
shift
mkdir -p "$folder"
downloads=$(mktemp -d)
trap 'rm -rf "$downloads"' EXIT

# A fresh machine knows no package until the lists were fetched once.
apt-cache show linux-image-amd64 >/dev/null 2>&1 || apt-get --quiet --quiet update

packages=("$@")
for index in "${!packages[@]}"; do
    # The kernel's package only names the one of the present version.
    if [ "${packages[index]}" = linux-image-amd64 ]; then
        packages[index]=$(apt-cache depends linux-image-amd64 |
            awk '/Depends: linux-image-[0-9].*-amd64/ && !name { name = $2 } END { print name }')
    fi
done

echo "==> lab: fetching ${#packages[@]} Debian packages into $folder, not to be installed (up to a minute)"
cd "$downloads"
# As root: apt's own user reaches no folder below root's, and says so each time.
output=$(apt-get --quiet --quiet -o APT::Sandbox::User=root download "${packages[@]}" 2>&1) || {
    echo "$output" >&2
    echo "lab: the packages could not be fetched: is there a network, and were the lists updated (apt-get update)?" >&2
    exit 1
}
cd - >/dev/null
for package in "$downloads"/*.deb; do
    dpkg-deb --extract "$package" "$folder"
done
