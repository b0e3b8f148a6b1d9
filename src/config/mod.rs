//! Configuration from one table of options, with every source and IPA's precedence.
//!
//! Sources from the weakest to the strongest: built-in default, `parameters.txt` of virtual media,
//! kernel command line, files and directories, environment, command line. Only `debug` is decided
//! by the boot arguments. (IPA lets the media override the kernel command line: see `media`.)
//! Values from Ironic's lookup response come later and are not configuration: see
//! [`crate::conductor`]. Errors carry the origin of each unusable value, and all of them are
//! reported at once.

mod bounded_read;
mod command_line;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod ignored_options;
mod interpolation;
pub mod kernel_args;
mod kernel_args_doc;
mod keystone;
mod media;
mod merge;
mod options;
mod registry;
mod sample;
mod secret_spans;
mod settings;
mod sources;
mod spec;
mod tls;
mod token_required;
mod unknown;
mod validate;
mod values;

pub use command_line::CommandLine;
pub use kernel_args::KernelArgs;
pub use kernel_args_doc::kernel_reference;
pub use keystone::{Interface, Sha256Digest, SystemScope};
pub use media::Known;
pub use merge::{Origin, Problem};
pub use options::{Config, KeystoneAuth, Mdns, OsloPolicy};
pub use sample::sample;
pub use secret_spans::places_of_secrets;
pub use settings::{Setting, Settings, Value};
pub use token_required::TokenRequired;
pub use validate::{Checked, check};
pub use values::{ApiUrl, ApiVersion, Facility, ImageServerAuth, Scheme};

use crate::root::Root;
use command_line::Place;
use interpolation::resolve_references;
use merge::Merged;
use sources::RawInputs;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Sources of configuration.
#[derive(Debug)]
pub struct Sources {
    /// The kernel command line.
    pub kernel: KernelArgs,
    /// `parameters.txt` of virtual media, if the machine was booted from such media.
    pub media: Option<KernelArgs>,
    /// The environment. Entries that hold options are wiped.
    pub environment: Vec<(String, String)>,
    /// The command line.
    pub command_line: CommandLine,
}

impl Sources {
    /// Creates the sources of this process: the boot's arguments, its environment and its own
    /// command line.
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
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
            command_line,
        }
    }

    /// Returns what all sources but virtual media decide, to restrict what media may set. Without
    /// a boot from virtual media it returns the default. This reads files, and some that the
    /// command line names (a pipe) can be read only once.
    #[must_use]
    pub fn known(&self, root: &Root) -> Known {
        if !self.kernel.booted_from_media() {
            return Known::default();
        }
        let mut given = RawInputs::default();
        given.take_kernel_arguments(&self.kernel);
        for path in files_to_read(root, self, &mut Vec::new()) {
            given.take_file(&path);
        }
        let raws = given.raws.iter().chain(&self.command_line.raws);
        let texts = raws.map(|raw| (raw.option, raw.text.as_str()));
        let variables = self
            .environment
            .iter()
            .filter_map(|(name, value)| Some((sources::by_variable(name)?, value.as_str())));
        Known::of(&self.kernel, texts.chain(variables))
    }
}

/// Replaces bytes of a variable that are not UTF-8. In an option's value they are rejected later.
fn text(bytes: OsString) -> String {
    bytes
        .into_string()
        .unwrap_or_else(|bytes| bytes.to_string_lossy().into_owned())
}

/// Configuration, with the origins and warnings that are to be logged.
#[derive(Debug)]
pub struct Loaded {
    /// The parsed options.
    pub config: Config,
    /// The effective value of every option, and its origin.
    pub settings: Settings,
    /// Assertions that the agent token is or is not required: recorded, without effect.
    pub token_required: Vec<TokenRequired>,
    /// Options whose combination is probably a mistake.
    pub warnings: Vec<Problem>,
    /// Options that are set and have no effect, because this agent lacks the part they belong to.
    pub without_effect: Vec<(String, Origin)>,
}

impl Loaded {
    /// Logs where configuration came from. Call it once logging is set up.
    pub fn log(&self) {
        for setting in self.settings.iter().filter(|setting| setting.is_set()) {
            let (option, origin) = (setting.full_name(), setting.origin());
            tracing::info!(option, %origin, "option set");
        }
        for setting in self.settings.iter() {
            let (option, origin) = (setting.full_name(), setting.origin());
            tracing::debug!(option, value = %setting.value, %origin, "option");
        }
        if !self.without_effect.is_empty() {
            let names: Vec<_> = self
                .without_effect
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            let options = names.join(", ");
            tracing::info!(
                options,
                "options are set whose part is not here: they change nothing"
            );
        }
        for Problem { origin, reason } in &self.warnings {
            tracing::warn!(%origin, "{reason}");
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
    let mut given = RawInputs::default();
    given.take_kernel_arguments(&sources.kernel);
    for path in files_to_read(root, &sources, &mut given.problems) {
        given.take_file(&path);
    }
    given.take_environment(sources.environment);
    given.raws.extend(sources.command_line.raws);
    if let Some(media) = &sources.media {
        given.take_media_parameters(media, &sources.kernel);
    }
    token_required.extend(given.token_required.iter().map(TokenRequired::of_file));

    let mut merged = Merged::of(std::mem::take(&mut given.raws));
    given.refused.extend(resolve_references(&mut merged));
    let mut config = Config::parse(&mut merged);
    let passed_over = validate::contradictions_of_media(config.as_ref(), &merged);
    if !passed_over.is_empty() {
        merged.forget(&passed_over);
        given.refused.extend(passed_over);
        config = Config::parse(&mut merged);
    }
    let mut problems = std::mem::take(&mut given.problems);
    problems.append(&mut merged.problems);
    problems.extend(validate::conflicts(config.as_ref(), &merged));
    match config {
        Some(config) if problems.is_empty() => Ok(Loaded {
            warnings: validate::warnings(&given, &merged),
            without_effect: validate::without_effect(&merged),
            config,
            settings: Settings::of(&merged),
            token_required,
        }),
        _ => Err(Error(problems)),
    }
}

/// Returns the files to read in oslo.config's order: default places, then those that the command
/// line names. A kind (file or directory) that the command line names has no default places.
fn files_to_read(root: &Root, sources: &Sources, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let home = sources
        .environment
        .iter()
        .find(|(name, _)| name == "HOME")
        .map(|(_, value)| Path::new(value));
    // Service managers often set no HOME; the agent runs as root.
    let home = home.or_else(|| Some(Path::new("/root")));
    let named = &sources.command_line.places;
    let mut places = Vec::new();
    if !named.iter().any(|place| matches!(place, Place::File(_))) {
        places.extend(sources::usual_file(root, home).map(Place::File));
    }
    if !named
        .iter()
        .any(|place| matches!(place, Place::Directory(_)))
    {
        let directories = sources::usual_directories(root, home);
        places.extend(directories.into_iter().map(Place::Directory));
    }
    places.extend(named.iter().cloned());
    let mut files = Vec::new();
    for place in places {
        match place {
            Place::File(path) => files.push(sources::expand_home(path, home)),
            Place::Directory(path) => {
                let directory = sources::expand_home(path, home);
                match sources::files_in(&directory) {
                    Ok(found) => files.extend(found),
                    Err(error) => problems.push(Problem::unreadable(&directory, &error)),
                }
            }
        }
    }
    files
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
