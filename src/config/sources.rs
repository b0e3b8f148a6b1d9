//! Reads raw texts from the sources: kernel arguments, files, environment. Nothing is parsed here.

use super::bounded_read::{has_replaced_bytes, read_bounded, text};
use super::file::parse;
use super::kernel_args::{KernelArgs, WITHOUT_OPTION};
use super::media;
use super::merge::{Origin, Problem, Raw};
use super::registry::{all, in_file};
use super::spec::{DEFAULT, Spec};
use super::token_required::TOKEN_REQUIRED;
use super::unknown::Unknown;
use crate::root::Root;
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Raw texts and problems from all sources.
#[derive(Default)]
pub(super) struct RawInputs {
    pub(super) raws: Vec<Raw>,
    /// Assertions of `agent_token_required`, as written in files.
    pub(super) token_required: Vec<(String, Origin)>,
    /// Names that are not options.
    pub(super) unknown: Vec<Unknown>,
    /// Parameters of virtual media that were rejected.
    pub(super) refused: Vec<Problem>,
    /// Deprecated names that were used.
    pub(super) renamed: Vec<Problem>,
    pub(super) problems: Vec<Problem>,
}

impl RawInputs {
    /// Adds options from the kernel command line.
    pub(super) fn take_kernel_arguments(&mut self, arguments: &KernelArgs) {
        self.take_arguments(arguments.pairs(), Origin::KernelArgument);
        self.refuse_replaced_bytes();
    }

    /// Adds options from `parameters.txt` on virtual media that are admitted beside all other
    /// sources. Those must be added before.
    pub(super) fn take_media_parameters(&mut self, parameters: &KernelArgs, kernel: &KernelArgs) {
        let trusted = std::mem::take(&mut self.raws);
        // Each key once, so that a medium cannot fill the log.
        self.take_arguments(parameters.effective_pairs(), Origin::MediaParameter);
        let parameters = std::mem::take(&mut self.raws);
        let (mut admitted, refused) = media::admitted(parameters, &trusted, kernel);
        admitted.extend(trusted);
        self.raws = admitted;
        self.refused = refused;
        // Only admitted ones are checked: a rejected one needs no second reason.
        self.refuse_replaced_bytes();
        let of_media = |problem: &mut Problem| matches!(problem.origin, Origin::MediaParameter(_));
        let passed_over = self.problems.extract_if(.., of_media);
        self.refused.extend(passed_over.map(media::passed_over));
    }

    fn take_arguments<'a>(
        &mut self,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        origin: fn(String) -> Origin,
    ) {
        for (key, value) in pairs {
            // A word that begins with "=" has no key; options without a kernel argument have an
            // empty one.
            let named = |name: &&str| *name == key && !key.is_empty();
            if let Some(option) = all().find(|spec| named(&spec.kernel_argument)) {
                self.raws.push(Raw {
                    option,
                    text: Zeroizing::new(value.to_owned()),
                    origin: origin(key.to_owned()),
                });
            } else if OURS.iter().any(|prefix| key.starts_with(prefix))
                && !WITHOUT_OPTION.iter().any(named)
            {
                self.unknown
                    .push(Unknown::Argument(key.to_owned(), origin(key.to_owned())));
            }
        }
    }

    /// Adds options from the environment: `OS_<GROUP>__<OPTION>`.
    pub(super) fn take_environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) {
        for (name, value) in variables {
            // Wrapped first: a variable that is no option of ours may hold a secret of another
            // program.
            let text = Zeroizing::new(value);
            if !name.starts_with("OS_") || !name.contains("__") {
                continue;
            }
            match by_variable(&name) {
                Some(option) => self.raws.push(Raw {
                    option,
                    text,
                    origin: Origin::Environment(name),
                }),
                None => self.unknown.push(Unknown::Variable(name)),
            }
        }
        self.refuse_replaced_bytes();
    }

    /// Rejects texts in which bytes that are not UTF-8 were replaced: such a value was never
    /// written.
    fn refuse_replaced_bytes(&mut self) {
        let is_replaced = |raw: &mut Raw| has_replaced_bytes(&raw.text);
        for raw in self.raws.extract_if(.., is_replaced) {
            self.problems.push(Problem {
                reason: format!("{} holds bytes that are not UTF-8", raw.option.full_name()),
                origin: raw.origin,
            });
        }
    }

    /// Reads a file. An unreadable file is recorded as a problem and reading goes on: other files
    /// may have more problems.
    pub(super) fn take_file(&mut self, path: &Path) {
        let problem = |line, reason: String| Problem {
            origin: Origin::File(path.to_owned(), line),
            reason,
        };
        let bytes = match read_bounded(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.problems.push(Problem::unreadable(path, &error));
                return;
            }
        };
        let text = match text(bytes) {
            Ok(text) => text,
            Err(line) => {
                self.problems.push(problem(line, NOT_UTF8.to_owned()));
                return;
            }
        };
        let entries = match parse(&text) {
            Ok(entries) => entries,
            Err(malformed) => {
                self.problems
                    .push(problem(malformed.line, malformed.reason.to_owned()));
                return;
            }
        };
        // Within one file an option's current name beats its deprecated one, regardless of order.
        let mut by_own_name = Vec::new();
        for entry in entries {
            let origin = Origin::File(path.to_owned(), entry.line);
            if (entry.group, entry.key) == (DEFAULT, TOKEN_REQUIRED) {
                self.token_required.push((entry.value.to_string(), origin));
                continue;
            }
            let Some(found) = in_file(entry.group, entry.key) else {
                let (group, key) = (entry.group.to_owned(), entry.key.to_owned());
                self.unknown.push(Unknown::Key(group, key, origin));
                continue;
            };
            let raw = Raw {
                option: found.spec,
                text: entry.value,
                origin,
            };
            if found.renamed {
                let (group, key, now) = (entry.group, entry.key, found.spec.name);
                let reason = format!("[{group}] {key} is the old name of {now}");
                self.renamed.push(problem(entry.line, reason));
                self.raws.push(raw);
            } else {
                by_own_name.push(raw);
            }
        }
        self.raws.append(&mut by_own_name);
    }
}

/// Returns the option that an environment variable sets.
pub(super) fn by_variable(name: &str) -> Option<&'static Spec> {
    all().find(|spec| spec.is_in_files() && spec.variable() == name)
}

/// Returns the default file, read unless the command line names one: the first that exists.
pub(super) fn usual_file(root: &Root, home: Option<&Path>) -> Option<PathBuf> {
    usual_folders(root, home)
        .map(|folder| folder.join("ironic-python-agent.conf"))
        .find(|path| path.is_file())
}

/// Returns the default directories, read unless the command line names one. They are the first
/// `ironic-python-agent.conf.d`, and the directory that Ironic's ramdisks name on their agent's
/// command line. Files of virtual media are copied to the latter.
pub(super) fn usual_directories(root: &Root, home: Option<&Path>) -> Vec<PathBuf> {
    let first = usual_folders(root, home)
        .map(|folder| folder.join("ironic-python-agent.conf.d"))
        .find(|path| path.is_dir());
    let of_ramdisks = Some(root.path("etc/ironic-python-agent.d")).filter(|path| path.is_dir());
    first.into_iter().chain(of_ramdisks).collect()
}

fn usual_folders(root: &Root, home: Option<&Path>) -> impl Iterator<Item = PathBuf> {
    home.map(|home| root.path(home))
        .into_iter()
        .chain([root.path("etc")])
}

/// Expands a path below `~`, which no shell has expanded after `--config-file=`.
pub(super) fn expand_home(path: PathBuf, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(below), Some(home)) => home.join(below),
        _ => path,
    }
}

/// Returns the `*.conf` files of a directory, sorted by name.
pub(super) fn files_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        // Like a shell's `*.conf`: without hidden files.
        let name = path.file_name().and_then(|name| name.to_str());
        let wanted = name.is_some_and(|name| name.ends_with(".conf") && !name.starts_with('.'));
        if wanted && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

const NOT_UTF8: &str = "the line holds bytes that are not UTF-8: save the file as UTF-8";

/// Prefixes of kernel arguments that belong to the agent alone.
const OURS: &[&str] = &["ipa-", "ferrite-"];

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(given: &RawInputs) -> Vec<(String, &str, String)> {
        let text = |raw: &'_ Raw| raw.origin.to_string();
        given
            .raws
            .iter()
            .map(|raw| (raw.option.full_name(), raw.text.as_str(), text(raw)))
            .collect()
    }

    #[test]
    fn the_environment_names_group_and_option() {
        let mut given = RawInputs::default();
        given.take_environment([
            ("OS_DEFAULT__API_URL".into(), "http://a".into()),
            ("OS_MDNS__USE_MDNS".into(), "true".into()),
            ("OS_DEFAULT__STANDALONE".into(), "true".into()),
            ("OS_SSL__CERT_FILE".into(), "x".into()),
            ("OS_AUTH_URL".into(), "x".into()),
            ("API_URL".into(), "x".into()),
        ]);
        let at = |name: &str| format!("environment, {name}");
        assert_eq!(
            texts(&given),
            [
                ("api_url".into(), "http://a", at("OS_DEFAULT__API_URL")),
                ("[mdns] use_mdns".into(), "true", at("OS_MDNS__USE_MDNS")),
            ]
        );
        assert_eq!(
            given.unknown,
            ["OS_DEFAULT__STANDALONE", "OS_SSL__CERT_FILE"]
                .map(|name| Unknown::Variable(name.to_owned()))
        );
    }

    #[test]
    fn kernel_arguments_of_ours_that_nobody_knows_are_kept() {
        let mut given = RawInputs::default();
        given.take_kernel_arguments(&KernelArgs::parse(
            "ro ipa-debgu=1 ipa-use-mdns=1 ipa-inspection-benchmarks=cpu IPA-x=1".to_owned(),
        ));
        let (name, origin) = ("ipa-debgu".to_owned(), "ipa-debgu".to_owned());
        assert_eq!(
            given.unknown,
            [Unknown::Argument(name, Origin::KernelArgument(origin))]
        );
        assert_eq!(given.raws.len(), 1);
    }

    #[test]
    fn a_file_may_use_old_names_and_unknown_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.conf");
        std::fs::write(
            &path,
            "[DEFAULT]\ntls_cert_file = /new\n[ssl]\ncert_file = /c\n[DEFAULT]\napi-url = x\n\
             standalone = true\nagent_token_required = no\n",
        )
        .unwrap();
        let mut given = RawInputs::default();
        given.take_file(&path);
        let at = |line| Origin::File(path.clone(), line);
        assert_eq!(given.problems, []);
        let set: Vec<_> = given
            .raws
            .iter()
            .map(|raw| (raw.text.as_str(), &raw.origin))
            .collect();
        assert_eq!(set, [("/c", &at(4)), ("/new", &at(2))]);
        assert_eq!(given.token_required, [("no".to_owned(), at(8))]);
        let key = |key: &str, line| Unknown::Key("DEFAULT".into(), key.into(), at(line));
        assert_eq!(given.unknown, [key("api-url", 6), key("standalone", 7)]);
        assert_eq!(given.renamed.len(), 1);
    }

    #[test]
    fn the_first_usual_place_wins_and_the_ramdisks_directory_is_added() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let home = Some(Path::new("/root"));
        assert_eq!(usual_file(&root, home), None);
        for directory in [
            "root",
            "etc/ironic-python-agent.conf.d",
            "etc/ironic-python-agent.d",
        ] {
            std::fs::create_dir_all(root.path(directory)).unwrap();
        }
        let file = root.path("etc/ironic-python-agent.conf");
        std::fs::write(&file, "").unwrap();
        assert_eq!(usual_file(&root, home), Some(file));
        assert_eq!(
            usual_directories(&root, home),
            [
                root.path("etc/ironic-python-agent.conf.d"),
                root.path("etc/ironic-python-agent.d")
            ]
        );
    }

    #[test]
    fn a_directorys_files_are_sorted_and_end_in_conf() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.conf", "a.conf", "c.txt", ".d.conf"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(
            files_in(folder.path()).unwrap(),
            [folder.path().join("a.conf"), folder.path().join("b.conf")]
        );
    }
}
