//! The documents that are made from the tables of the program: samples, references, completions, man pages.

use clap_complete::{Shell, generate};
use ferrite::{cli, config, policy};

/// Each with its place in the repository.
pub(crate) fn documents() -> Vec<(String, String)> {
    let mut documents = vec![
        ("config/ferrite.conf.sample".to_owned(), config::sample()),
        ("config/policy.yaml.sample".to_owned(), policy::sample()),
        (
            "docs/kernel-arguments.md".to_owned(),
            config::kernel_reference(),
        ),
    ];
    for (shell, file) in [
        (Shell::Bash, "ferrite.bash"),
        (Shell::Fish, "ferrite.fish"),
        (Shell::Zsh, "_ferrite"),
    ] {
        let mut text = Vec::new();
        generate(shell, &mut cli::command(), "ferrite", &mut text);
        documents.push((format!("docs/completions/{file}"), string(text)));
    }
    let mut command = cli::command();
    command.build();
    man_pages(&command, &mut documents);
    documents
}

/// A page of the command, and one of each of its subcommands.
fn man_pages(command: &clap::Command, documents: &mut Vec<(String, String)>) {
    let page = clap_mangen::Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text).unwrap();
    let text = string(text).replace(" \n", "\n");
    documents.push((format!("docs/man/{}", page.get_filename()), text));
    for subcommand in command.get_subcommands() {
        man_pages(subcommand, documents);
    }
}

fn string(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}
