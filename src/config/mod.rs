//! Configuration: one table of options, every source, IPA's precedence.
//!
//! From the weakest to the strongest: built-in default, kernel command line, `parameters.txt` of virtual media, files and
//! directories, environment, command line; only `debug` is decided by the boot. What Ironic says in the lookup comes later and
//! is not configuration: see [`crate::conductor`]. A value that cannot be used is told with its origin, all of them at once.

mod command_line;
mod file;
pub mod kernel_args;
mod merge;
mod options;
mod read;
mod sample;
mod sources;
mod tls;
mod token_required;
mod values;

pub use command_line::CommandLine;
pub use kernel_args::KernelArgs;
pub use merge::{Origin, Problem};
pub use options::{Config, Mdns};
pub use sample::sample;
pub use token_required::TokenRequired;
pub use values::{ApiUrl, ApiVersion, Facility, ImageServerAuth, NtpServer, Scheme};

use crate::root::Root;
use merge::Merged;
use sources::FromFiles;
use std::path::{Path, PathBuf};

/// Everything configuration is made from.
#[derive(Debug)]
pub struct Sources {
    /// The kernel command line.
    pub kernel: KernelArgs,
    /// `parameters.txt` of virtual media, where the machine was booted from such.
    pub media: Option<KernelArgs>,
    /// The environment; wiped where it holds options.
    pub environment: Vec<(String, String)>,
    /// The command line.
    pub command_line: CommandLine,
}

impl Sources {
    /// What this process was given beside the boot's arguments: its environment, and its own command line.
    #[must_use]
    pub fn of_process(
        kernel: KernelArgs,
        media: Option<KernelArgs>,
        command_line: CommandLine,
    ) -> Self {
        Self {
            kernel,
            media,
            environment: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            command_line,
        }
    }
}

/// Configuration, and what is worth saying about how it came to be.
#[derive(Debug)]
pub struct Loaded {
    /// What the operator wants.
    pub config: Config,
    /// Where each option that was set anywhere has its value from.
    pub origins: Vec<(&'static str, Origin)>,
    /// Whether somebody says that the agent token is required: recorded, never obeyed.
    pub token_required: Vec<TokenRequired>,
    warnings: Vec<String>,
    unknown: Vec<(String, Origin)>,
}

impl Loaded {
    /// Tells the log where configuration came from: to be called once the log exists.
    pub fn log(&self) {
        for (option, origin) in &self.origins {
            tracing::info!(option, %origin, "option set");
        }
        for (key, origin) in &self.unknown {
            tracing::debug!(key, %origin, "option not known: ignored");
        }
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        for assertion in &self.token_required {
            assertion.log();
        }
    }
}

/// Reads, merges and parses all sources.
///
/// # Errors
/// [`Error`] with every value that cannot be used.
pub fn load(root: &Root, sources: Sources) -> Result<Loaded, Error> {
    let mut token_required = TokenRequired::of_boot(&sources.kernel, sources.media.as_ref());
    let mut raws = sources::kernel_arguments(&sources.kernel);
    if let Some(media) = &sources.media {
        raws.extend(sources::media_parameters(media));
    }
    let mut files = FromFiles::default();
    for path in files_to_read(root, &sources, &mut files.problems) {
        files.read(&path);
    }
    raws.extend(files.raws);
    raws.extend(sources::environment(sources.environment));
    raws.extend(sources.command_line.raws);
    token_required.extend(files.token_required.iter().map(TokenRequired::of_file));

    let mut merged = Merged::of(raws);
    let config = Config::parse(&mut merged);
    let mut problems = files.problems;
    problems.append(&mut merged.problems);
    match config {
        Some(config) if problems.is_empty() => Ok(Loaded {
            warnings: warnings(&config, &merged.origins()),
            config,
            origins: merged.origins(),
            token_required,
            unknown: files.unknown,
        }),
        _ => Err(Error(problems)),
    }
}

/// Single files first, then directories: later ones win.
fn files_to_read(root: &Root, sources: &Sources, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let home = sources
        .environment
        .iter()
        .find(|(name, _)| name == "HOME")
        .map(|(_, value)| Path::new(value));
    let mut files = sources.command_line.files.clone();
    if files.is_empty() {
        files.extend(sources::usual_file(root, home));
    }
    let mut directories = sources.command_line.directories.clone();
    if directories.is_empty() {
        directories = sources::usual_directories(root, home);
    }
    for directory in directories {
        match sources::files_in(&directory) {
            Ok(found) => files.extend(found),
            Err(error) => problems.push(Problem {
                origin: Origin::File(directory, 0),
                reason: error.to_string(),
            }),
        }
    }
    files
}

fn warnings(config: &Config, origins: &[(&'static str, Origin)]) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.certfile.is_some() != config.keyfile.is_some() {
        warnings.push(
            "only one of certfile and keyfile is set: the agent shows no certificate to servers"
                .to_owned(),
        );
    }
    for secret in ["agent_token", "image_server_password"] {
        if origins.contains(&(secret, Origin::CommandLine(secret))) {
            warnings.push(format!(
                "{secret} was given on the command line, where every process of the machine can read it"
            ));
        }
    }
    warnings
}

/// Every value that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub struct Error(pub Vec<Problem>);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("configuration cannot be used")?;
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { ": " } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests;
