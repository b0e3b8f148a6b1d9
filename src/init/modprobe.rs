//! `modprobe`: the program that the kernel starts when it needs a module that is not loaded, for instance for a file system that is
//! being mounted or for the checksum that this file system uses (kernel: `kernel/kmod.c`, `request_module`).
//!
//! The kernel starts it as `/sbin/modprobe -q -- NAME`, beside all processes of ours and maybe before process 1: it has no standard
//! streams, and `/proc` and `/dev` may be empty. It loads modules and does nothing else. The owner of a rescued machine may
//! run it, too.

use super::modules::loader::{LoadError, Loader, TableError};
use crate::error::chain;
use crate::root::Root;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;

/// Why a module is not loaded.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] Cause);

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(
        "cannot use {0:?}: this modprobe takes names of modules, -a and -q; `busybox modprobe` takes more"
    )]
    Usage(String),
    #[error(transparent)]
    Tables(TableError),
    #[error(transparent)]
    Load(LoadError),
}

/// What is to be loaded.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    names: Vec<String>,
    quiet: bool,
}

impl Request {
    /// Parses the arguments.
    ///
    /// # Errors
    /// [`Error`] names the first that cannot be used.
    pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self, Error> {
        let mut request = Self {
            names: Vec::new(),
            quiet: false,
        };
        let unusable = |argument| Error::from(Cause::Usage(argument));
        let (mut all, mut options) = (false, true);
        for argument in arguments {
            let argument = argument
                .into_string()
                .map_err(|argument| unusable(argument.to_string_lossy().into_owned()))?;
            match argument.as_str() {
                "--" if options => options = false,
                "-a" | "--all" if options => all = true,
                "-q" | "--quiet" if options => request.quiet = true,
                option if options && option.starts_with('-') => return Err(unusable(argument)),
                // What follows the first name would be options for the module.
                _ if !all && !request.names.is_empty() => return Err(unusable(argument)),
                _ => request.names.push(argument),
            }
        }
        if request.names.is_empty() {
            return Err(unusable(String::new()));
        }
        Ok(request)
    }

    /// Whether failures are not to be printed: the kernel asks, which needs no words.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Loads the modules.
    ///
    /// # Errors
    /// [`Error`] of the first name for which nothing was loaded; the others are loaded all the same.
    pub fn run(&self, root: &Root) -> Result<(), Error> {
        let loader = Loader::open(root).map_err(Cause::Tables)?;
        let mut failure = None;
        for name in &self.names {
            let modules = loader.index().find(name);
            if let Err(error) = load(name, modules, |module| loader.load(module)) {
                if self.quiet {
                    log_to_kernel(root, &error);
                }
                failure.get_or_insert(error);
            }
        }
        match failure {
            None => Ok(()),
            Some(error) => Err(Cause::Load(error).into()),
        }
    }
}

/// Loads all modules that a name stands for. One is enough: the others are for other processors, say.
fn load(
    name: &str,
    modules: Vec<&str>,
    load: impl FnMut(&str) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    let results: Vec<_> = modules.into_iter().map(load).collect();
    if results.iter().any(Result::is_ok) {
        return Ok(());
    }
    let not_found = || Err(LoadError::NotFound(name.into()));
    results.into_iter().next().unwrap_or_else(not_found)
}

/// The kernel asks for much that nobody has; a module that is there and fails is worth a line, and nobody reads our output.
fn log_to_kernel(root: &Root, error: &LoadError) {
    if let LoadError::Refused { .. } = error {
        let line = format!("<{NOTICE}>ferrite modprobe: {}", chain(error));
        let log = OpenOptions::new().write(true).open(root.path("dev/kmsg"));
        let _not_there_yet = log.and_then(|mut log| log.write_all(line.as_bytes()));
    }
}

/// `KERN_NOTICE` (linux/kern_levels.h).
const NOTICE: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<(Vec<String>, bool), String> {
        let arguments = line.split_whitespace().map(OsString::from);
        Request::parse(arguments)
            .map(|request| (request.names, request.quiet))
            .map_err(|error| error.to_string())
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().copied().map(str::to_owned).collect()
    }

    #[test]
    fn the_kernels_and_a_persons_arguments_are_understood() {
        assert_eq!(
            parse("-q -- crypto-crc32c"),
            Ok((names(&["crypto-crc32c"]), true))
        );
        assert_eq!(parse("-q -- -a"), Ok((names(&["-a"]), true)));
        assert_eq!(parse("xfs"), Ok((names(&["xfs"]), false)));
        assert_eq!(parse("-a xfs btrfs"), Ok((names(&["xfs", "btrfs"]), false)));
    }

    #[test]
    fn arguments_of_another_purpose_are_refused() {
        for (line, argument) in [
            ("", ""),
            ("-q --", ""),
            ("-r xfs", "-r"),
            ("loop max_loop=8", "max_loop=8"),
        ] {
            let error = parse(line).unwrap_err();
            let start = format!("cannot use {argument:?}: ");
            assert!(error.starts_with(&start), "{line}: {error}");
        }
    }

    #[test]
    fn one_module_of_an_alias_is_enough() {
        let refused = |module: &str| LoadError::Refused {
            file: module.into(),
            source: nix::Error::ENODEV.into(),
        };
        let one_fails = |module: &str| match module {
            "crc32c_intel" => Err(refused(module)),
            _ => Ok(()),
        };
        load("crc32c", vec!["crc32c_intel", "crc32c_generic"], one_fails).unwrap();
        let error = load("crc32c", vec!["crc32c_intel"], one_fails).unwrap_err();
        assert_eq!(error.to_string(), "cannot load crc32c_intel");
        let error = load("crc32c", Vec::new(), one_fails).unwrap_err();
        assert_eq!(error.to_string(), "there is no module crc32c");
    }
}
