#!/bin/busybox sh
# First and only program of the lab's tiny instances: says on the console that the deployed disk booted, through
# which firmware entry, and what the config drive holds; then stays.

/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /mnt
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do insmod "$module" 2>/dev/null; done
mount -t efivarfs efivarfs /sys/firmware/efi/efivars 2>/dev/null
exec >/dev/ttyS0 2>&1

say() { printf '\r\nFERRITE-INSTANCE-%s\r\n' "$*"; }

say "BOOTED $(sed -n 's/.*ferrite.instance=\([^ ]*\).*/\1/p' /proc/cmdline)"

# The firmware's name for the way it booted: 4 bytes of attributes, then a UTF-16 text from byte 10 on.
vars=/sys/firmware/efi/efivars
guid=8be4df61-93ca-11d2-aa0d-00e098032b8c
if [ -d "$vars" ]; then
    number=$(tail -c +5 "$vars/BootCurrent-$guid" | hexdump -n 2 -e '/2 "%04X"')
    say "ENTRY $(tail -c +11 "$vars/Boot$number-$guid" | hexdump -v -e '1/2 "%u\n"' | awk '$1 == 0 { ended = 1 } !ended { printf "%c", $1 }')"
else
    say "ENTRY none: this is BIOS"
fi

tries=0
while [ -z "$(findfs LABEL=config-2)" ] && [ $tries -lt 20 ]; do sleep 0.2; tries=$((tries + 1)); done
# What a service step put into the first partition, if one did.
if mount -o ro /dev/sda1 /mnt; then
    [ ! -e /mnt/from-service ] || say "SERVICED $(cat /mnt/from-service)"
    umount /mnt
fi
if mount -o ro "$(findfs LABEL=config-2)" /mnt; then
    for file in meta_data.json user_data; do
        say "CONFIG-DRIVE $file: $(cat /mnt/openstack/latest/$file)"
    done
else
    say "CONFIG-DRIVE missing"
fi
say "READY"
while :; do sleep 3600; done
