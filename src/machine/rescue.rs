//! Rescue: writes the password for the ramdisk's login, and the mark that stops the agent.
//!
//! The ramdisk does the rest: process 1 in Ferrite's, a service that watches the file in others.

use super::permit::Permit;
use crate::error::{AgentError, ErrorClass};
use crate::root::Root;
use crate::secret::Secret;
use sha_crypt::{Params, sha256_crypt};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Password of the user `rescue`.
#[derive(Debug)]
pub enum Password {
    /// Hash for /etc/shadow, as Ironic sends it.
    Hashed(Secret<String>),
    /// Password in plain text.
    Plain(Secret<String>),
}

/// Error of a rescue; the agent keeps running.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The password is empty, which would open the machine to everyone.
    #[error("the rescue password is empty")]
    Empty,
    /// The mark cannot be written.
    #[error("cannot write the rescue mark {0}")]
    Mark(PathBuf, #[source] io::Error),
    /// The ramdisk has no login programs that would read the password.
    #[error(
        "nobody could log in to this ramdisk: it brings no login programs (there is no folder {0})"
    )]
    NoLogin(PathBuf),
    /// The hash contains a character that would break its line in /etc/shadow.
    #[error("the hashed rescue password holds a character that no hash has")]
    NoHash,
    /// The password is too long for the ramdisk's SSH server.
    #[error(
        "the rescue password has {0} bytes, and the ramdisk's SSH server takes no more than {MAX_PASSWORD}: choose a shorter one"
    )]
    TooLong(usize),
    /// No login program supports the hash.
    #[error("nobody could log in by the hashed rescue password: it is no hash that crypt(5) knows")]
    UnknownHash,
    /// The password file for the ramdisk cannot be written.
    #[error("cannot write the rescue password to {0}")]
    Password(PathBuf, #[source] io::Error),
    /// There are no random numbers for the salt.
    #[error("there are no random numbers for the rescue password's salt")]
    Salt,
}

impl From<Error> for AgentError {
    fn from(error: Error) -> Self {
        let class = match error {
            Error::Empty | Error::NoHash | Error::TooLong(_) | Error::UnknownHash => {
                ErrorClass::InvalidCommandParamsError
            }
            _ => ErrorClass::CommandExecutionError,
        };
        Self::caused(class, &error)
    }
}

/// Writes the hashed password where the ramdisk looks for it, then the mark. The agent must exit
/// afterwards.
///
/// # Errors
/// See [`Error`]. Without the password no mark is written.
pub fn finish(root: &Root, _: Permit, password: &Password) -> Result<(), Error> {
    let path = root.rescue_password();
    let folder = path.parent().unwrap_or(&path);
    if !folder.is_dir() {
        return Err(Error::NoLogin(folder.to_owned()));
    }
    let hash = hashed(password)?;
    write_private(&path, hash.expose().as_bytes())
        .map_err(|error| Error::Password(path.clone(), error))?;
    let mark = root.rescue_mark();
    File::create(&mark).map_err(|error| Error::Mark(mark, error))?;
    Ok(())
}

/// Returns whether the machine was handed over, by this or another agent.
#[must_use]
pub fn is_finished(root: &Root) -> bool {
    root.rescue_mark().exists()
}

fn hashed(password: &Password) -> Result<Secret<String>, Error> {
    match password {
        Password::Hashed(text) | Password::Plain(text) if text.expose().is_empty() => {
            Err(Error::Empty)
        }
        Password::Hashed(hash) => {
            let fits = |c: char| c.is_ascii_graphic() && c != ':';
            if !hash.expose().chars().all(fits) {
                return Err(Error::NoHash);
            }
            match Logins::that_check(hash.expose()) {
                Some(Logins::All) => {}
                Some(Logins::Ssh) => tracing::warn!(
                    "the rescue password lets in over SSH alone: the console's login cannot check such a hash, only sha256, \
                     sha512, md5 and DES"
                ),
                None => return Err(Error::UnknownHash),
            }
            Ok(Secret::new(hash.expose().to_owned()))
        }
        Password::Plain(text) if text.expose().len() > MAX_PASSWORD => {
            Err(Error::TooLong(text.expose().len()))
        }
        Password::Plain(text) => {
            let mut random = [0; SALT_LENGTH];
            aws_lc_rs::rand::fill(&mut random).map_err(|_| Error::Salt)?;
            let salt = random.map(|byte| digit(u32::from(byte)));
            Ok(Secret::new(sha256_hash(text.expose().as_bytes(), &salt)))
        }
    }
}

/// Ramdisk logins that support a hash: busybox at the console has a crypt(3) of its own, dropbear
/// uses libxcrypt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Logins {
    All,
    Ssh,
}

impl Logins {
    /// Returns the logins that support a hash, by its prefix (crypt(5)); `None` if no login does.
    fn that_check(hash: &str) -> Option<Self> {
        let is_digit = |byte: u8| DIGITS.contains(&byte);
        let Some(rest) = hash.strip_prefix('$') else {
            return match hash.strip_prefix('_') {
                Some(rest) if rest.len() == 19 && rest.bytes().all(is_digit) => Some(Self::Ssh),
                None if hash.len() == 13 && hash.bytes().all(is_digit) => Some(Self::All),
                _ => None,
            };
        };
        let (scheme, rest) = rest.split_once('$')?;
        // The salt and the hash itself, which is last.
        let (_, sum) = rest.rsplit_once('$')?;
        match scheme {
            _ if sum.is_empty() => None,
            "1" | "5" | "6" => Some(Self::All),
            "2a" | "2b" | "2x" | "2y" | "3" | "7" | "gy" | "md5" | "sha1" | "y" => Some(Self::Ssh),
            _ => None,
        }
    }
}

/// Returns `$5$salt$hash`: SHA-crypt with SHA-256 and its default of 5,000 rounds, as in IPA.
fn sha256_hash(password: &[u8], salt: &[char]) -> String {
    let salt: String = salt.iter().collect();
    let digest = sha256_crypt(password, salt.as_bytes(), Params::RECOMMENDED);
    let byte = |index: usize| u32::from(digest.get(index).copied().unwrap_or_default());
    let mut text = format!("$5${salt}$");
    let mut push = |mut word: u32, digits: u32| {
        for _ in 0..digits {
            text.push(digit(word));
            word >>= 6;
        }
    };
    // Byte order of the SHA-crypt specification: the three bytes of each group rotate by one.
    for group in 0..10 {
        let places = match group % 3 {
            0 => [group, group + 10, group + 20],
            1 => [group + 20, group, group + 10],
            _ => [group + 10, group + 20, group],
        };
        let [high, middle, low] = places.map(byte);
        push(high << 16 | middle << 8 | low, 4);
    }
    push(byte(31) << 8 | byte(30), 3);
    text
}

/// Returns the digit of crypt's base 64 for the lowest six bits.
fn digit(word: u32) -> char {
    let place = usize::try_from(word & 0x3F).unwrap_or_default();
    char::from(DIGITS.get(place).copied().unwrap_or_default())
}

/// Writes a file that is readable by root alone from its first byte on, even if it existed with
/// another mode.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    file.write_all(bytes)
}

/// Maximum length of a password for dropbear, in bytes (`DROPBEAR_MAX_PASSWORD_LEN`).
const MAX_PASSWORD: usize = 100;
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Maximum salt length of SHA-crypt.
const SALT_LENGTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::Verbosity;
    use crate::logging::tests::captured;
    use crate::machine::InstalledSystem;
    use tempfile::TempDir;

    const NO_LOGIN_TAKES_IT: &str =
        "nobody could log in by the hashed rescue password: it is no hash that crypt(5) knows";

    fn ramdisk() -> (TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("etc/ipa-rescue-config")).unwrap();
        let root = Root::at(folder.path());
        (folder, root)
    }

    fn permit(root: &Root) -> Permit {
        Permit::obtain(root, InstalledSystem::Allowed).unwrap()
    }

    fn plain(text: &str) -> Password {
        Password::Plain(Secret::new(text.to_owned()))
    }

    fn hash(text: &str) -> Password {
        Password::Hashed(Secret::new(text.to_owned()))
    }

    fn salted(password: &str, salt: &str) -> String {
        let salt: Vec<char> = salt.chars().collect();
        sha256_hash(password.as_bytes(), &salt)
    }

    #[test]
    fn a_hash_is_written_as_it_is_for_root_alone_and_the_mark_is_set() {
        let (_folder, root) = ramdisk();
        assert!(!is_finished(&root));
        fs::write(
            root.rescue_password(),
            "something longer that was there before",
        )
        .unwrap();
        finish(&root, permit(&root), &hash("$6$salt$abc./")).unwrap();
        assert_eq!(
            fs::read_to_string(root.rescue_password()).unwrap(),
            "$6$salt$abc./"
        );
        let mode = fs::metadata(root.rescue_password()).unwrap().permissions();
        assert_eq!(mode.mode() & 0o7777, 0o600);
        assert!(is_finished(&root));
    }

    #[test]
    fn a_plain_password_becomes_a_salted_hash() {
        let (_folder, root) = ramdisk();
        let mut seen = Vec::new();
        for _ in 0..2 {
            finish(&root, permit(&root), &plain("hush")).unwrap();
            let text = fs::read_to_string(root.rescue_password()).unwrap();
            let salt = text.split('$').nth(2).unwrap().to_owned();
            assert_eq!(salt.len(), SALT_LENGTH);
            assert_eq!(text, salted("hush", &salt));
            seen.push(text);
        }
        assert_ne!(seen[0], seen[1]);
    }

    /// Compared with hashes from glibc.
    #[test]
    fn the_hash_is_the_one_that_login_programs_make() {
        for (password, salt, hash) in [
            (
                "Hello world!",
                "saltstring",
                "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
            ),
            (
                &"päßwörd ".repeat(10),
                "0123456789abcdef",
                "xVm9R1fx6OJLRskLmN1jB4R0nt4wtfcdt8lD1ERqTm2",
            ),
        ] {
            assert_eq!(salted(password, salt), format!("$5${salt}${hash}"));
        }
    }

    /// Tried with busybox 1.35's login and dropbear 2022.83 of Debian 12.
    #[test]
    fn a_hash_that_only_ssh_checks_is_taken_and_told() {
        const WARNING: &str = "the console's login cannot check such a hash";
        for (text, is_warned) in [
            ("$1$abcdefgh$W/cWJBXhDVunGTRw7i8VR.", false),
            (
                "$5$abcdefgh$s98/YDJNepbYmpL3383vY8e2ia.3kIpT.d6noRCjde4",
                false,
            ),
            ("$6$rounds=10000$salt$abc./", false),
            ("ab/gHNIgtwJy.", false),
            (
                "$y$j9T$abcdefgh$dlUYPUUM8Jskh1BKt/BOzJoGPqRY8lPN.kpvYtsFG.D",
                true,
            ),
            (
                "$gy$j9T$abcdefgh$UwODCvGppZ2q.1CghKUiY2hCs8VG90y0HEnO3u.ixB/",
                true,
            ),
            (
                "$7$CU..../....abcdefgh$9Nvc/TUtg4YxGqDcvcONn3jA0D89ZvLBFhBIRwC/Pg9",
                true,
            ),
            (
                "$2b$05$abcdefghijklmnopqrstuulzd.YqjLDl8lvpSmVj3De/fioSBHnUa",
                true,
            ),
            ("$sha1$40000$abcdefgh$vz/t1PxNUNjjHrbUZHjJ0xw8YXkL", true),
        ] {
            let (_folder, root) = ramdisk();
            let mut finished = Ok(());
            let log = captured(Verbosity::Info, || {
                finished = finish(&root, permit(&root), &hash(text));
            });
            finished.unwrap();
            assert_eq!(fs::read_to_string(root.rescue_password()).unwrap(), text);
            assert_eq!(log.contains(WARNING), is_warned, "{text}: {log}");
            assert!(!log.contains(text), "{log}");
        }
    }

    #[test]
    fn the_longest_password_that_ssh_takes_is_taken() {
        let (_folder, root) = ramdisk();
        finish(&root, permit(&root), &plain(&"a".repeat(100))).unwrap();
        assert!(is_finished(&root));
    }

    #[test]
    fn a_ramdisk_without_logins_is_told_of_and_stays_the_agents() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        let root = Root::at(folder.path());
        let error = AgentError::from(finish(&root, permit(&root), &plain("hush")).unwrap_err());
        assert_eq!(error.class, ErrorClass::CommandExecutionError);
        assert_eq!(
            error.details,
            format!(
                "nobody could log in to this ramdisk: it brings no login programs (there is no folder {}/etc/ipa-rescue-config)",
                folder.path().display()
            )
        );
        assert!(!is_finished(&root));
    }

    #[test]
    fn a_password_that_cannot_be_one_opens_nothing() {
        let (_folder, root) = ramdisk();
        for (password, details) in [
            (plain(""), "the rescue password is empty"),
            (hash(""), "the rescue password is empty"),
            (
                hash("x:0:0::/:\nroot:"),
                "the hashed rescue password holds a character that no hash has",
            ),
            (hash("hush"), NO_LOGIN_TAKES_IT),
            (hash("!"), NO_LOGIN_TAKES_IT),
            (hash("*0"), NO_LOGIN_TAKES_IT),
            (hash("$6$salt"), NO_LOGIN_TAKES_IT),
            (hash("$6$salt$"), NO_LOGIN_TAKES_IT),
            (hash("$argon2id$v=19$m=65536$salt$hash"), NO_LOGIN_TAKES_IT),
            (
                plain(&"ä".repeat(51)),
                "the rescue password has 102 bytes, and the ramdisk's SSH server takes no more than 100: choose a shorter one",
            ),
        ] {
            let error = AgentError::from(finish(&root, permit(&root), &password).unwrap_err());
            assert_eq!(error.class, ErrorClass::InvalidCommandParamsError);
            assert_eq!(error.details, details);
        }
        assert!(!is_finished(&root) && !root.rescue_password().exists());
    }
}
