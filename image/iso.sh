#!/bin/sh
# Builds FOLDER/ferrite.iso from FOLDER/vmlinuz and FOLDER/initramfs, the same bytes on every run: UEFI through Debian's signed
# shim and GRUB, so that Secure Boot works, and BIOS through isolinux. The label is the one that virtual media have, so that an
# operator may add files below etc/ironic-python-agent.d.
set -eu
# xorriso and mtools take the time of everything else from SOURCE_DATE_EPOCH.
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=315532800 # 1980, where FAT's time begins
here=$(cd "$(dirname "$0")" && pwd)
out=$1
tree=$out/iso
rm -rf "$tree" && mkdir -p "$tree/isolinux" "$tree/EFI/debian"

cp "$out/vmlinuz" "$tree/vmlinuz"
cp "$out/initramfs" "$tree/initrd"
cp "$here/grub.cfg" "$tree/EFI/debian/grub.cfg"
cp "$here/isolinux.cfg" /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$tree/isolinux"

# The EFI system partition: Debian's GRUB looks for /EFI/debian/grub.cfg on the CD that it came from.
esp=$tree/efi.img
truncate -s 8M "$esp"
mkdir -p "$out/esp/EFI/BOOT"
cp /usr/lib/shim/shimx64.efi.signed "$out/esp/EFI/BOOT/BOOTX64.EFI"
cp /usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed "$out/esp/EFI/BOOT/grubx64.efi"
find "$out/esp" "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
mformat -i "$esp" -N 46455252 -v FERRITE ::
mcopy -i "$esp" -s -m "$out/esp/EFI" ::
touch -d "@$SOURCE_DATE_EPOCH" "$esp"
rm -rf "$out/esp"

xorriso -as mkisofs -quiet -o "$out/ferrite.iso.new" -V VMEDIA_BOOT_ISO -r -J \
	--modification-date=1980010100000000 --set_all_file_dates 1980010100000000 \
	-b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table \
	-eltorito-alt-boot -e efi.img -no-emul-boot "$tree" 2>"$out/iso.log" || {
	cat "$out/iso.log" >&2
	exit 1
}
rm -rf "$tree" "$out/iso.log"
mv "$out/ferrite.iso.new" "$out/ferrite.iso"
echo "The ISO has $(stat -c %s "$out/ferrite.iso") bytes:"
(cd "$out" && sha256sum ferrite.iso)
