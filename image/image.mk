# The ramdisk: Debian's kernel, the modules of image/modules.list and the agent, and an ISO of them.

IMAGE := target/image/virtual
IMAGE_PACKAGES := dpkg kmod zstd
# Taken apart for the rescue system, see image/rescue.list.
RESCUE_PACKAGES := busybox-static dosfstools dropbear-bin e2fsprogs libblkid1 libc6 libcom-err2 libcrypt1 libext2fs2 libgmp10 libtomcrypt1 \
	libtommath1 libuuid1 openssh-sftp-server zlib1g
ISO_PACKAGES := xorriso mtools isolinux syslinux-common shim-signed grub-efi-amd64-signed

.PHONY: image iso image-packages iso-packages
image: $(IMAGE)/initramfs ## The ramdisk: kernel and initramfs

iso: $(IMAGE)/ferrite.iso ## The ramdisk as an ISO that boots by UEFI and BIOS

image-packages:
	$(call install,$(IMAGE_PACKAGES))

iso-packages:
	$(call install,$(ISO_PACKAGES))

# The kernel that Debian's meta package names today, unpacked and never installed. `make clean` fetches a newer one.
$(IMAGE)/kernel.deb: | image-packages
	$(call stage,image: fetching Debian's kernel (70 MB))
	@mkdir -p $(IMAGE)/download
	@apt-cache show linux-image-amd64 >/dev/null 2>&1 || apt-get -qq update
	@cd $(IMAGE)/download && $(DOWNLOAD) \
		$$(apt-cache depends linux-image-amd64 | \
		awk '/Depends: linux-image-[0-9]/ && !name { name = $$2 } END { print name }')
	@mv $(IMAGE)/download/linux-image-*.deb $@ && rmdir $(IMAGE)/download

$(IMAGE)/modules.cpio.zst: $(IMAGE)/kernel.deb image/build.sh image/modules.list | image-packages
	$(call stage,image: packing the kernel's modules (about a minute))
	@image/build.sh modules $< $(IMAGE)

# The list of packages is in this file.
$(IMAGE)/rescue/.done: image/image.mk | image-packages
	@rm -rf $(@D) && mkdir -p $(@D)
	@apt-cache show busybox-static >/dev/null 2>&1 || apt-get -qq update
	@cd $(@D) && $(DOWNLOAD) $(RESCUE_PACKAGES)
	@touch $@

$(IMAGE)/rescue.cpio.zst: $(IMAGE)/rescue/.done image/build.sh image/rescue.list image/filesystems | image-packages
	$(call stage,image: packing the rescue system (a few seconds))
	@image/build.sh rescue $(IMAGE)/rescue $(IMAGE)

# `agent` is made anew on each call, and usually to the same bytes.
$(IMAGE)/initramfs: agent $(IMAGE)/modules.cpio.zst $(IMAGE)/rescue.cpio.zst image/build.sh
	$(call stage,image: packing the agent (a few seconds))
	@image/build.sh initramfs $(AGENT) $(IMAGE)

$(IMAGE)/ferrite.iso: $(IMAGE)/initramfs image/iso.sh image/grub.cfg image/isolinux.cfg | iso-packages
	$(call stage,image: making the ISO (a few seconds))
	@image/iso.sh $(IMAGE)
