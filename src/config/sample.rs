//! Sample configuration file, generated from the table of options: each with its meaning, default
//! and kernel argument.

use super::registry::by_group;
use super::spec::{DEFAULT, Effect};
use std::fmt::Write;

/// Returns the text of `config/ferrite.conf.sample`: every option commented out.
#[must_use]
pub fn sample() -> String {
    let mut text = String::from(HEAD);
    for (group, options) in by_group() {
        if group != DEFAULT {
            // Writing to a `String` cannot fail.
            let _infallible = write!(text, "\n[{group}]\n");
        }
        for option in options.into_iter().filter(|option| option.is_in_files()) {
            let argument = match option.kernel_argument {
                "" => String::new(),
                argument => format!(" Kernel argument: {argument}."),
            };
            let effect = match option.effect {
                Effect::Used => "",
                Effect::None => " Without effect: its part is not here.",
            };
            let (help, name) = (option.help.trim(), option.name);
            let value = format!("{name} = {}", option.default);
            let _infallible = write!(
                text,
                "\n# {help}{effect}{argument}\n#{}\n",
                value.trim_end()
            );
        }
    }
    text
}

const HEAD: &str = "\
# Ferrite's configuration: /etc/ironic-python-agent.conf, or *.conf in /etc/ironic-python-agent.conf.d.
# Made from the table of options by `ferrite config sample`. A value here counts before the kernel argument's.
[DEFAULT]
";
