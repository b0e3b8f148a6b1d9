#!/bin/bash
# Takes Debian packages apart into a folder, without installing them: unpack-packages.sh FOLDER PACKAGE…
set -euo pipefail
export LC_ALL=C

folder=$1
shift
rm -rf "$folder"
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

echo "lab: fetching ${packages[*]}"
cd "$downloads"
apt-get --quiet --quiet download "${packages[@]}" 2>/dev/null || {
    echo "lab: the packages could not be fetched: is there a network, and were the lists updated (apt-get update)?" >&2
    exit 1
}
cd - >/dev/null
for package in "$downloads"/*.deb; do
    dpkg-deb --extract "$package" "$folder"
done
