#!/bin/sh
# Builds the ramdisk's two parts, each with the same bytes on every run:
#
#   build.sh modules KERNEL.deb OUT    OUT/vmlinuz and OUT/modules.cpio.zst, the part that changes with the kernel only
#   build.sh rescue PACKAGES OUT       OUT/rescue.cpio.zst: of the Debian packages in that folder, what rescue.list names
#   build.sh initramfs FERRITE OUT     OUT/initramfs: those two parts, and one with FERRITE as /init
#
# The archives are written here (`newc`, Documentation/driver-api/early-userspace/buffer-format.rst), because cpio makes device
# nodes for root only and writes inode numbers of the machine it runs on.
set -eu
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)

fail() {
	echo "image/build.sh: $*" >&2
	exit 1
}

# entry NAME MODE SIZE [MAJOR MINOR]: one header; files belong to root and are as old as the epoch.
entry() {
	printf '07070100000000%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\0' \
		$((0$2)) 0 0 1 0 "$3" 0 0 "${4:-0}" "${5:-0}" $((${#1} + 1)) 0 "$1"
	pad $((110 + ${#1} + 1))
}

# pad LENGTH: zeroes up to the next multiple of four.
pad() {
	case $(($1 % 4)) in
	1) printf '\0\0\0' ;;
	2) printf '\0\0' ;;
	3) printf '\0' ;;
	esac
}

folder() {
	entry "$1" 040755 0
}

# file NAME MODE PATH
file() {
	size=$(stat -c %s "$3")
	entry "$1" "$2" "$size"
	cat "$3"
	pad "$size"
}

# mode PATH: that of a program, or of a file that is none.
mode() {
	if [ -x "$1" ]; then echo 0100755; else echo 0100644; fi
}

# link NAME TARGET
link() {
	entry "$1" 0120777 ${#2}
	printf %s "$2"
	pad ${#2}
}

# A window of 32 MiB, which the kernel needs for a moment as memory: the modules are much alike, and more would be too much for a
# small machine. One thread, because more give other bytes.
compress() {
	zstd -q --ultra -20 --zstd=wlog=25 --single-thread --check -c
}

# The last entry of an archive, and its compression. The next archive begins at a multiple of four.
finish() {
	{
		cat
		entry 'TRAILER!!!' 0 0
	} | compress >"$1.new"
	pad "$(stat -c %s "$1.new")" >>"$1.new"
	mv "$1.new" "$1"
}

# select_modules TREE: the files of modules.list and of all they need, each once, sorted. Soft dependencies may be aliases
# (`crypto-crc32c`), and a module that is needed may have some of its own.
select_modules() {
	(
		cd "$1/kernel"
		sed 's/#.*//; /^[[:space:]]*$/d' "$here/modules.list" | while read -r pattern; do
			for module in $pattern.ko; do
				[ -e "$module" ] || fail "modules.list: nothing fits $pattern"
				echo "kernel/$module"
			done
		done
	) >"$1/chosen"
	awk '
		function name(text) {
			sub(/.*\//, "", text)
			sub(/\.ko$/, "", text)
			gsub(/-/, "_", text)
			return text
		}
		function choose(file,    i, all, count) {
			if (file in chosen) return
			chosen[file]
			print file
			count = split(needs[file], all, " ")
			for (i = 1; i <= count; i++) choose(all[i])
			count = split(wants[name(file)], all, " ")
			for (i = 1; i <= count; i++) choose_named(name(all[i]))
		}
		# What a name that is no module stands for is built into the kernel, or the modules that have it as an alias.
		function choose_named(wanted,    i, all, count) {
			if (wanted in files) {
				choose(files[wanted])
				return
			}
			count = split(aliases[wanted], all, " ")
			for (i = 1; i <= count; i++) choose(files[all[i]])
		}
		FILENAME ~ /\.dep$/ { file = $1; sub(/:$/, "", file); files[name(file)] = file; sub(/^[^:]*:/, ""); needs[file] = $0; next }
		FILENAME ~ /\.alias$/ { if ($1 == "alias") aliases[name($2)] = aliases[name($2)] " " $3; next }
		FILENAME ~ /\.softdep$/ {
			listed = 0
			for (i = 3; i <= NF && $1 == "softdep"; i++)
				if ($i == "pre:" || $i == "post:") listed = 1
				else if (listed) wants[name($2)] = wants[name($2)] " " $i
			next
		}
		{ choose($1) }
	' "$1/modules.dep" "$1/modules.alias" "$1/modules.softdep" "$1/chosen" | sort
}

# omitted_drivers TREE LIST: for each driver of disks and networks on PCI that is not in the list of files, its aliases, and the
# firmware that it or a module it needs asks for: what process 1 tells of a controller that cannot be used.
omitted_drivers() {
	echo "# Drivers that this ramdisk leaves out (image/build.sh): aliases, and firmware files that they ask for."
	awk '
		function name(text) {
			sub(/.*\//, "", text)
			sub(/\.ko$/, "", text)
			gsub(/-/, "_", text)
			return text
		}
		FILENAME ~ /\.dep$/ { sub(/:$/, "", $1); if ($1 ~ FOLDERS) files[name($1)] = $1; next }
		FILENAME !~ /\.alias$/ { chosen[name($1)]; next }
		$2 ~ /^pci:/ && $3 in files && !($3 in chosen) { print files[$3], $2, $3 }
	' FOLDERS='^kernel/drivers/(ata|block|infiniband|message|mmc|net/ethernet|nvme|scsi)/' \
		"$1/modules.dep" "$2" "$1/modules.alias" | sort >"$2.omitted"
	sed 's/^[^ ]* /alias /' "$2.omitted"
	cut -d' ' -f1,3 "$2.omitted" | uniq | while read -r file module; do
		firmware=$(
			for needed in $(sed -n "s|^$file:|$file|p" "$1/modules.dep"); do modinfo -F firmware "$1/$needed"; done | sort -u
		)
		[ -z "$firmware" ] || echo firmware "$module" $firmware
	done
	rm "$2.omitted"
}

modules() {
	# Absolute: parts of the work are done from other folders.
	work=$(cd "$2" && pwd)/work
	rm -rf "$work" && mkdir -p "$work/all" "$work/chosen"
	dpkg-deb -x "$1" "$work/all"
	release=$(ls "$work/all/lib/modules")
	tree=$work/all/lib/modules/$release
	new=$work/chosen/lib/modules/$release
	depmod -b "$work/all" "$release"
	select_modules "$tree" >"$work/list"
	while read -r module; do
		mkdir -p "$new/$(dirname "$module")"
		cp "$tree/$module" "$new/$module"
	done <"$work/list"
	cp "$tree/modules.order" "$tree/modules.builtin" "$tree/modules.builtin.modinfo" "$new"
	depmod -b "$work/chosen" "$release"
	omitted_drivers "$tree" "$work/list" >"$new/modules.omitted"
	(
		cd "$work/chosen"
		{
			find lib -type d | sort | while read -r name; do folder "$name"; done
			{
				find "lib/modules/$release/kernel" -type f
				for table in dep alias softdep omitted; do echo "lib/modules/$release/modules.$table"; done
			} | sort | while read -r name; do file "$name" 0100644 "$name"; done
		} | finish "$work/modules.cpio.zst"
	)
	cp "$work/all/boot/vmlinuz-$release" "$2/vmlinuz"
	mv "$work/modules.cpio.zst" "$2/modules.cpio.zst"
	rm -rf "$work"
}

# The files that rescue.list names, and a link for each of busybox's commands but those of an init system and of the kernel's.
choose_rescue() {
	sed 's/#.*//; /^[[:space:]]*$/d' "$here/rescue.list" | while read -r name; do
		[ -f "$1/$name" ] || fail "rescue.list: no package brings $name"
		mkdir -p "$2/${name%/*}"
		cp -L "$1/$name" "$2/$name"
	done
	# Where every program looks for the loader of its libraries.
	mkdir "$2/lib64"
	ln -s /lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 "$2/lib64"
	mkdir "$2/etc"
	sed 's/#.*//; /^[[:space:]]*$/d' "$here/filesystems" >"$2/etc/filesystems"
	"$2/bin/busybox" --list-full | grep -vxE 'linuxrc|bin/busybox|sbin/(init|modprobe)' | while read -r name; do
		mkdir -p "$2/${name%/*}"
		ln -s /bin/busybox "$2/$name"
	done
}

rescue() {
	work=$(cd "$2" && pwd)/work
	rm -rf "$work" && mkdir -p "$work/all" "$work/chosen"
	for package in "$1"/*.deb; do dpkg-deb -x "$package" "$work/all"; done
	choose_rescue "$work/all" "$work/chosen"
	(
		cd "$work/chosen"
		{
			find . -mindepth 1 -type d -printf '%P\n' | sort | while read -r name; do folder "$name"; done
			find . -type f -printf '%P\n' | sort | while read -r name; do file "$name" "$(mode "$name")" "$name"; done
			find . -type l -printf '%P\n' | sort | while read -r name; do link "$name" "$(readlink "$name")"; done
		} | finish "$work/rescue.cpio.zst"
	)
	mv "$work/rescue.cpio.zst" "$2/rescue.cpio.zst"
	rm -rf "$work"
}

# The archive in front is not compressed, for Ironic's sake: it unpacks a ramdisk that begins as a zstd file, and fails when
# more than one archive is in it.
initramfs() {
	{
		# The first is the root folder itself, which everybody could write into otherwise.
		for name in . dev etc proc run sys tmp; do folder "$name"; done
		# Without these two a program cannot even start before /dev is mounted, where the console named does not exist.
		entry dev/console 020600 0 5 1
		entry dev/null 020666 0 1 3
		entry 'TRAILER!!!' 0 0
	} >"$2/initramfs.new"
	{
		file init 0100755 "$1"
		# The program that the kernel starts when it needs a module.
		folder sbin
		link sbin/modprobe /init
	} | finish "$2/agent.cpio.zst"
	cat "$2/modules.cpio.zst" "$2/rescue.cpio.zst" "$2/agent.cpio.zst" >>"$2/initramfs.new"
	rm "$2/agent.cpio.zst"
	mv "$2/initramfs.new" "$2/initramfs"
	size=$(($(stat -c %s "$2/vmlinuz") + $(stat -c %s "$2/initramfs")))
	echo "Kernel and initramfs have $size bytes together:"
	(cd "$2" && sha256sum vmlinuz initramfs)
}

[ $# = 3 ] || fail "see the head of this file"
case $1 in
modules | rescue | initramfs) "$@" ;;
*) fail "which part?" ;;
esac
