//! A configuration file with every option, its meaning, its default and its kernel argument, from the table of options.

use super::options::{Kind, OPTIONS};
use std::fmt::Write;

/// The text of `config/ferrite.conf.sample`: every option commented out.
#[must_use]
pub fn sample() -> String {
    let mut text = String::from(HEAD);
    let in_files = OPTIONS.iter().filter(|option| option.kind != Kind::Switch);
    let mut group = "DEFAULT";
    for option in in_files {
        if option.group != group {
            group = option.group;
            let _infallible = write!(text, "\n[{group}]\n");
        }
        let argument = match option.kernel_argument {
            "" => String::new(),
            argument => format!(" Kernel argument: {argument}."),
        };
        let (help, name) = (option.help.trim(), option.name);
        let value = format!("{name} = {}", option.default);
        // Writing to a text cannot fail.
        let _infallible = write!(text, "\n# {help}{argument}\n#{}\n", value.trim_end());
    }
    text
}

const HEAD: &str = "\
# Ferrite's configuration: /etc/ironic-python-agent.conf, or *.conf in /etc/ironic-python-agent.conf.d.
# Made from the table of options by `ferrite config sample`. A value here counts before the kernel argument's.
[DEFAULT]
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_in_the_repository_is_the_tables() {
        let kept = include_str!("../../config/ferrite.conf.sample");
        assert_eq!(
            kept,
            sample(),
            "run `ferrite config sample > config/ferrite.conf.sample`"
        );
    }
}
