//! The mount table as the kernel shows it in `/proc/PID/mountinfo` (proc_pid_mountinfo(5); Linux `fs/proc_namespace.c`, `show_mountinfo`).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// The type of its file system.
    pub file_system: String,
    /// What is mounted: a block device's path, or a word of the file system's.
    pub source: PathBuf,
    /// The file system's own options, the kernel's escapes of characters as they are.
    pub options: String,
}

impl Mount {
    /// The mounts of a table in their order, later ones over earlier ones. Lines that are none are passed over.
    #[must_use]
    pub fn parse_all(table: &[u8]) -> Vec<Self> {
        table
            .split(|byte| *byte == b'\n')
            .filter_map(Self::parse)
            .collect()
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let mut words = line.split(|byte| *byte == b' ');
        let point = words.nth(4)?;
        // Optional fields end with a hyphen.
        words.find(|word| *word == b"-")?;
        let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
        Some(Self {
            point: unescape(point),
            file_system: text(words.next()?),
            source: unescape(words.next()?),
            options: words.next().map(text).unwrap_or_default(),
        })
    }

    /// The path that an option of the file system's names: `upperdir` of an overlay.
    #[must_use]
    pub fn path_option(&self, name: &str) -> Option<PathBuf> {
        self.options.split(',').find_map(|option| {
            let path = option.strip_prefix(name)?.strip_prefix('=')?;
            Some(unescape(path.as_bytes()))
        })
    }
}

/// White space and the backslash itself are written as a backslash and three octal digits (Linux `fs/seq_file.c`, `mangle_path`).
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
        let mount = |point: &[u8], file_system: &str, source: &str, options: &str| Mount {
            point: OsString::from_vec(point.into()).into(),
            file_system: file_system.into(),
            source: source.into(),
            options: options.into(),
        };
        assert_eq!(
            Mount::parse_all(table),
            [
                mount(b"/", "ext4", "/dev/sda1", "rw,errors=remount-ro"),
                mount(b"/mnt/a \\b\\12", "tmpfs", "\tx", "rw,size=1"),
                mount(b"/mnt/\xff", "proc", "proc", ""),
            ]
        );
    }

    #[test]
    fn a_path_among_the_options_is_found_by_its_whole_name() {
        let line =
            b"25 1 0:30 / / rw - overlay o rw,upperdirs=/no,upperdir=/run/l\\040x/up,workdir=/w";
        let mounts = Mount::parse_all(line);
        let [mount] = mounts.as_slice() else {
            panic!("{mounts:?}")
        };
        assert_eq!(mount.path_option("upperdir"), Some("/run/l x/up".into()));
        assert_eq!(mount.path_option("lowerdir"), None);
    }
}
