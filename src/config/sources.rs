//! The sources of raw texts, each a function of what it is given: kernel arguments, files, environment. Nothing is parsed here.

use super::file::parse;
use super::kernel_args::KernelArgs;
use super::merge::{Origin, Problem, Raw};
use super::options::{Kind, OPTIONS, Spec};
use super::read::read_bounded;
use crate::root::Root;
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Options that the kernel command line gave.
pub(super) fn kernel_arguments(arguments: &KernelArgs) -> Vec<Raw> {
    named(arguments, Origin::KernelArgument)
}

/// Options that `parameters.txt` on virtual media gave.
pub(super) fn media_parameters(parameters: &KernelArgs) -> Vec<Raw> {
    named(parameters, Origin::MediaParameter)
}

fn named(arguments: &KernelArgs, origin: fn(&'static str) -> Origin) -> Vec<Raw> {
    OPTIONS
        .iter()
        .filter(|spec| !spec.kernel_argument.is_empty())
        .filter_map(|spec| {
            Some(Raw {
                option: spec,
                text: Zeroizing::new(arguments.value(spec.kernel_argument)?.to_owned()),
                origin: origin(spec.kernel_argument),
            })
        })
        .collect()
}

/// Options that the environment gave: `OS_<GROUP>__<OPTION>`.
pub(super) fn environment(variables: impl IntoIterator<Item = (String, String)>) -> Vec<Raw> {
    variables
        .into_iter()
        .filter_map(|(name, value)| {
            // First into its wrapper: a variable that is not ours may be somebody else's secret.
            let text = Zeroizing::new(value);
            let (group, option) = name.strip_prefix("OS_")?.split_once("__")?;
            let spec = in_files().find(|spec| {
                spec.group.eq_ignore_ascii_case(group) && spec.name.to_ascii_uppercase() == option
            })?;
            Some(Raw {
                option: spec,
                text,
                origin: Origin::Environment(name),
            })
        })
        .collect()
}

/// What files gave.
#[derive(Default)]
pub(super) struct FromFiles {
    pub(super) raws: Vec<Raw>,
    /// Assertions of `agent_token_required`, as they were written.
    pub(super) token_required: Vec<(String, Origin)>,
    /// Keys that are no options of Ferrite: `[group] key`, and where.
    pub(super) unknown: Vec<(String, Origin)>,
    pub(super) problems: Vec<Problem>,
}

impl FromFiles {
    /// Reads a file. What cannot be read is a problem, not an end: others may hold more problems.
    pub(super) fn read(&mut self, path: &Path) {
        let problem = |line, reason: String| Problem {
            origin: Origin::File(path.to_owned(), line),
            reason,
        };
        let text = match read_bounded(path) {
            Ok(text) => text,
            Err(error) => {
                self.problems.push(problem(0, error.to_string()));
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
        for entry in entries {
            let origin = Origin::File(path.to_owned(), entry.line);
            if (entry.group, entry.key) == ("DEFAULT", TOKEN_REQUIRED) {
                self.token_required.push((entry.value.to_string(), origin));
            } else if let Some(option) = option_of(entry.group, entry.key) {
                self.raws.push(Raw {
                    option,
                    text: entry.value,
                    origin,
                });
            } else {
                self.unknown
                    .push((format!("[{}] {}", entry.group, entry.key), origin));
            }
        }
    }
}

fn option_of(group: &str, key: &str) -> Option<&'static Spec> {
    let (group, key) = match (group, key) {
        // Deprecated names (IPA: `config.py`).
        ("ssl", "cert_file") => ("DEFAULT", "tls_cert_file"),
        ("ssl", "key_file") => ("DEFAULT", "tls_key_file"),
        other => other,
    };
    in_files().find(|spec| spec.group == group && spec.name == key)
}

fn in_files() -> impl Iterator<Item = &'static Spec> {
    OPTIONS.iter().filter(|spec| spec.kind != Kind::Switch)
}

/// The file that is read unless the command line names one: the first of these.
pub(super) fn usual_file(root: &Root, home: Option<&Path>) -> Option<PathBuf> {
    usual_folders(root, home)
        .map(|folder| folder.join("ironic-python-agent.conf"))
        .find(|path| path.is_file())
}

/// The directories that are read unless the command line names one: the first `ironic-python-agent.conf.d`, and the one that
/// Ironic's ramdisks name on their agent's command line and virtual media's files are copied to.
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

/// The `*.conf` files of a directory, by name.
pub(super) fn files_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "conf")
            && path.is_file()
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The switch that Ironic once had: read, never obeyed.
pub(super) const TOKEN_REQUIRED: &str = "agent_token_required";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_group_and_option() {
        let raws = environment([
            ("OS_DEFAULT__API_URL".into(), "http://a".into()),
            ("OS_DEFAULT__STANDALONE".into(), "true".into()),
            ("OS_SSL__API_URL".into(), "x".into()),
            ("OS_AUTH_URL".into(), "x".into()),
            ("API_URL".into(), "x".into()),
        ]);
        let found: Vec<_> = raws
            .iter()
            .map(|raw| (raw.option.name, raw.text.as_str(), raw.origin.to_string()))
            .collect();
        assert_eq!(
            found,
            [(
                "api_url",
                "http://a",
                "environment, OS_DEFAULT__API_URL".to_owned()
            )]
        );
    }

    #[test]
    fn a_file_may_use_old_names_and_unknown_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.conf");
        std::fs::write(
            &path,
            "[ssl]\ncert_file = /c\n[DEFAULT]\napi-url = x\nstandalone = true\nagent_token_required = no\n",
        )
        .unwrap();
        let mut files = FromFiles::default();
        files.read(&path);
        let at = |line| Origin::File(path.clone(), line);
        assert_eq!(files.problems, []);
        assert_eq!(files.raws.len(), 1);
        assert_eq!(files.raws[0].option.name, "tls_cert_file");
        assert_eq!(files.token_required, [("no".to_owned(), at(6))]);
        assert_eq!(
            files.unknown,
            [
                ("[DEFAULT] api-url".to_owned(), at(4)),
                ("[DEFAULT] standalone".to_owned(), at(5)),
            ]
        );
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
        for name in ["b.conf", "a.conf", "c.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(
            files_in(folder.path()).unwrap(),
            [folder.path().join("a.conf"), folder.path().join("b.conf")]
        );
    }
}
