#!/bin/sh
# First process of a cell: builds the machine the agent is to see and starts the agent in it. The file given as first
# argument holds the settings (see cell.rs); the rest is the agent's command line.
#
# It runs in mount, process, host-name and IPC namespaces of its own and without the capabilities that reach past them
# (cell.rs drops those before). What it shows of the host: the kernel, and one loop device under a disk's name.
set -eu
settings=$1
shift
. "$settings"
root=$work/root

# Once: a network of the cell's own, with one end of a cable in the lab's bridge.
if [ "${1:-}" != --inside ]; then
    : >"$work/network"
    unshare --net="$work/network" true
    ip link add "$port" type veth peer name eth0 address "$mac" netns "$work/network"
    ip link set "$port" master "$bridge" up
    exec nsenter --net="$work/network" -- /bin/sh "$0" "$settings" --inside "$@"
fi
shift
ip link set lo up
ip address add "$address/24" dev eth0
ip link set eth0 up
hostname cell

# The root file system is a ramdisk, as the agent demands of a machine it may write to.
mkdir -p "$root"
mount -t tmpfs -o mode=755 cell "$root"
cd "$root"
mkdir cell dev etc host proc root run sys tmp var
chmod 1777 tmp
cp "$busybox" cell/busybox
# What agents that start programs may miss: nobody settles devices here but the loop below, at once.
printf '#!/cell/busybox sh\n' >cell/udevadm
chmod 755 cell/udevadm
for part in $shown; do
    if [ -d "$part" ]; then
        mkdir -p ".$part"
        mount --bind "$part" ".$part"
        mount -o remount,bind,ro ".$part"
    else
        mkdir -p ".${part%/*}"
        cp "$part" ".$part"
    fi
done
[ -z "$etc" ] || cp -R "$etc/." etc
for link in bin lib lib64 sbin; do [ ! -L /$link ] || cp -P /$link .; done

# Processes of the cell alone, the kernel's switches and its emergency key out of reach. What the agent sees as /proc has
# arguments and a key of the cell's own.
mkdir cell/proc
mount -t proc proc cell/proc
: >cell/nothing
for path in cell/proc/sys cell/proc/sysrq-trigger; do
    [ -e $path ] || continue
    case $path in */sys) from=$path ;; *) from=cell/nothing ;; esac
    mount --bind $from $path
    mount -o remount,bind,ro $path
done
for path in cell/proc/[!0-9]*; do ln -s "/$path" proc; done
rm -f proc/cmdline proc/sysrq-trigger
cp "$work/cmdline" proc/cmdline
: >proc/sysrq-trigger

# Of the host's block devices only the loop device, of its firmware nothing; the cable looks like a network card.
mount -t sysfs -o ro sysfs sys
for path in sys/block sys/class/block sys/class/net sys/dev/block sys/firmware; do
    [ ! -d $path ] || mount -t tmpfs -o mode=755 cell $path
done
ln -s "/sys/devices/virtual/block/$loop" "sys/block/$disk"
ln -s "/sys/devices/virtual/block/$loop" "sys/class/block/$disk"
IFS=: read -r major minor <"/sys/block/$loop/dev"
ln -s "/sys/block/$disk" "sys/dev/block/$major:$minor"
ln -s /sys/devices/virtual/net/lo sys/class/net/lo
mkdir cell/virtio0 sys/class/net/eth0
echo 0x1af4 >cell/virtio0/vendor
echo 0x0001 >cell/virtio0/device
for path in sys/devices/virtual/net/eth0/*; do ln -s "/$path" sys/class/net/eth0; done
ln -s /cell/virtio0 sys/class/net/eth0/device

mount -t tmpfs -o mode=755 cell dev
mkdir -m 1777 dev/shm
for node in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "dev/${node%:*}" c 1 "${node#*:}"; done
mknod -m 600 "dev/$disk" b "$major" "$minor"

# The agent may change its own mounts, but makes no device node: what is not in /dev stays out of its reach.
setpriv --bounding-set -mknod --inh-caps -all -- unshare --mount -- \
    /bin/sh -c 'pivot_root . host
        exec /cell/busybox sh -c "cd / && /cell/busybox umount -l /host && exec \"\$@\"" sh "$@"' sh "$@" &
agent=$!

# Meanwhile what a machine does: its emergency key ends it. And what udev does: the disk's partitions come and go under
# the disk's name.
while kill -0 $agent 2>/dev/null; do
    if [ -s proc/sysrq-trigger ]; then
        echo "the cell ends by its emergency key: $(cat proc/sysrq-trigger)"
        exit 0
    fi
    for path in dev/"$disk"?* sys/class/block/"$disk"?*; do
        number=${path##*/"$disk"}
        [ -e "/sys/block/$loop/${loop}p$number" ] || rm -f "$path"
    done
    for partition in "/sys/block/$loop/${loop}p"*; do
        name=$disk${partition##*p}
        [ ! -e "dev/$name" ] && IFS=: read -r major minor 2>/dev/null <"$partition/dev" || continue
        ln -sfn "/sys/devices/virtual/block/$loop/${partition##*/}" "sys/class/block/$name"
        ln -sfn "/sys/class/block/$name" "sys/dev/block/$major:$minor"
        mknod -m 600 "dev/$name" b "$major" "$minor"
    done
    sleep 0.1
done
# The end of the first process ends all others of the cell.
wait $agent
