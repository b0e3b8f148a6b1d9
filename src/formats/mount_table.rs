//! Mount table of the kernel in `/proc/PID/mountinfo` (proc_pid_mountinfo(5); Linux
//! `fs/proc_namespace.c`, `show_mountinfo`).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Mount of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Mount ID.
    pub id: u64,
    /// ID of the parent mount.
    pub parent: u64,
    /// Mount point.
    pub point: PathBuf,
    /// File system type.
    pub file_system: String,
    /// Mounted source: path of a block device, or a name that the file system defines.
    pub source: PathBuf,
    /// Options of the file system, with the kernel's escapes of characters.
    pub options: String,
}

impl Mount {
    /// Parses the mounts of a table in its order, in which later ones cover earlier ones. Malformed
    /// lines are skipped.
    #[must_use]
    pub fn parse_all(table: &[u8]) -> Vec<Self> {
        table
            .split(|byte| *byte == b'\n')
            .filter_map(Self::parse)
            .collect()
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let mut words = line.split(|byte| *byte == b' ');
        let mut number = || str::from_utf8(words.next()?).ok()?.parse().ok();
        let (id, parent) = (number()?, number()?);
        let point = words.nth(2)?;
        // The optional fields end with a hyphen.
        words.find(|word| *word == b"-")?;
        let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
        Some(Self {
            id,
            parent,
            point: unescape(point),
            file_system: text(words.next()?),
            source: unescape(words.next()?),
            options: words.next().map(text).unwrap_or_default(),
        })
    }

    /// Returns the mount that contains a path, starting from this one, the root. As in the kernel,
    /// a mount beneath another mount is not reached.
    #[must_use]
    pub fn containing_mount<'a>(&'a self, mounts: &'a [Self], path: &Path) -> &'a Self {
        let mut holder = self;
        // Each mount is passed at most once, even if the table has a cycle.
        for _ in mounts {
            let on_the_way = mounts.iter().filter(|mount| {
                mount.parent == holder.id && mount.id != holder.id && path.starts_with(&mount.point)
            });
            match on_the_way.min_by_key(|mount| mount.point.as_os_str().len()) {
                Some(next) => holder = next,
                None => break,
            }
        }
        holder
    }

    /// Returns the upper folder of an overlay (`upperdir`), which takes its writes.
    #[must_use]
    pub fn upper(&self) -> Option<PathBuf> {
        let upper = self.option("upperdir").next()?;
        Some(unescape(upper.as_bytes()))
    }

    /// Returns the lower folders of an overlay (Documentation/filesystems/overlayfs.rst:
    /// `lowerdir`, `lowerdir+`, `datadir+`).
    #[must_use]
    pub fn lowers(&self) -> Vec<PathBuf> {
        let list = self.option("lowerdir").flat_map(split_lowers);
        let single = ["lowerdir+", "datadir+"].map(|name| self.option(name));
        let single = single.into_iter().flatten();
        list.chain(single.map(|lower| unescape(lower.as_bytes())))
            .collect()
    }

    /// Returns the values of a file system option.
    fn option(&self, name: &str) -> impl Iterator<Item = &str> {
        self.options
            .split(',')
            .filter_map(move |option| option.strip_prefix(name)?.strip_prefix('='))
    }
}

/// Splits `lowerdir` into folders at colons. A backslash before a colon makes the colon part of a
/// name. Two colons precede folders that hold data alone.
fn split_lowers(list: &str) -> Vec<PathBuf> {
    let list = unescape(list.as_bytes()).into_os_string().into_vec();
    let mut lowers = vec![Vec::new()];
    let mut bytes = list.into_iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b':' => lowers.push(Vec::new()),
            byte => {
                let byte = if byte == b'\\' {
                    bytes.next()
                } else {
                    Some(byte)
                };
                if let Some(lower) = lowers.last_mut() {
                    lower.extend(byte);
                }
            }
        }
    }
    lowers
        .into_iter()
        .filter(|lower| !lower.is_empty())
        .map(|lower| OsString::from_vec(lower).into())
        .collect()
}

/// Decodes white space and the backslash, which the kernel writes as a backslash and three octal
/// digits (Linux `fs/seq_file.c`, `mangle_path`).
fn unescape(word: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((byte, after)) = rest.split_first() {
        match (byte, octal(after)) {
            (b'\\', Some((escaped, after))) => {
                path.push(escaped);
                rest = after;
            }
            _ => {
                path.push(*byte);
                rest = after;
            }
        }
    }
    OsString::from_vec(path).into()
}

fn octal(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, after) = text.split_at_checked(3)?;
    let digits = str::from_utf8(digits).ok()?;
    let digits = digits
        .bytes()
        .all(|digit| digit.is_ascii_digit())
        .then_some(digits)?;
    Some((u8::from_str_radix(digits, 8).ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_read_with_any_number_of_optional_fields() {
        let table = b"25 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro\n\
                      nonsense\n\
                      30 25 0:2 / /mnt/a\\040\\134b\\12 rw shared:1 master:2 - tmpfs \\011x rw,size=1\n\
                      31 25 0:3 / /mnt/\xff rw - proc\n\
                      32 25 0:3 / /mnt/\xff rw - proc proc\n";
        let mount = |id, point: &[u8], file_system: &str, source: &str, options: &str| Mount {
            id,
            parent: if id == 25 { 1 } else { 25 },
            point: OsString::from_vec(point.into()).into(),
            file_system: file_system.into(),
            source: source.into(),
            options: options.into(),
        };
        assert_eq!(
            Mount::parse_all(table),
            [
                mount(25, b"/", "ext4", "/dev/sda1", "rw,errors=remount-ro"),
                mount(30, b"/mnt/a \\b\\12", "tmpfs", "\tx", "rw,size=1"),
                mount(32, b"/mnt/\xff", "proc", "proc", ""),
            ]
        );
    }

    #[test]
    fn the_folders_of_an_overlay_are_found_by_the_whole_names_of_its_options() {
        let folders = |options: &str| {
            let line = format!("25 1 0:30 / / rw - overlay o {options}");
            let mut mounts = Mount::parse_all(line.as_bytes());
            let mount = mounts.remove(0);
            let lowers = mount.lowers().into_iter();
            let lowers: Vec<_> = lowers.map(|lower| lower.display().to_string()).collect();
            (mount.upper(), lowers)
        };
        assert_eq!(
            folders("rw,upperdirs=/no,lowerdirs=/no,upperdir=/run/l\\040x/up,workdir=/w"),
            (Some("/run/l x/up".into()), vec![])
        );
        assert_eq!(
            folders("ro,lowerdir=/a\\134:b:/c\\054d::/data,upperdir="),
            (
                Some("".into()),
                ["/a:b", "/c,d", "/data"].map(String::from).into()
            )
        );
        assert_eq!(
            folders("ro,lowerdir+=/a:b,lowerdir+=/c,datadir+=/d"),
            (None, ["/a:b", "/c", "/d"].map(String::from).into())
        );
    }

    #[test]
    fn a_path_lies_on_the_mount_that_the_kernel_reaches() {
        let table = b"25 1 0:1 / / rw - overlay o\n\
                      30 25 0:2 / /run rw - tmpfs run\n\
                      31 30 8:1 / /run/disk rw - ext4 /dev/sda1\n\
                      32 25 8:2 / /mnt/disk rw - xfs /dev/sda2\n\
                      33 25 0:3 / /mnt rw - tmpfs mnt\n\
                      34 33 0:4 / /mnt rw - ramfs over\n\
                      35 35 0:5 / /mnt/x rw - proc itself\n";
        let mounts = Mount::parse_all(table);
        let holder = |path: &str| {
            let holder = mounts[0].containing_mount(&mounts, Path::new(path));
            holder.source.display().to_string()
        };
        assert_eq!(
            [
                "/",
                "/runs",
                "/run/a/b",
                "/run/disk",
                "/mnt/disk/x",
                "relative"
            ]
            .map(holder),
            ["o", "o", "run", "/dev/sda1", "over", "o"]
        );
    }
}
