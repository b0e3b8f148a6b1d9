//! Fuzzes configuration: any text as the kernel's command line, a medium's parameters, a file and
//! the environment.

use super::kernel_args::KernelArgs;
use super::{CommandLine, Sources, file, load, secret_spans};
use crate::root::Root;

/// Reads the text as each source, alone and together: it is accepted, or rejected with a reason.
pub(crate) fn boot_settings(bytes: &[u8]) {
    for place in secret_spans::places_of_secrets(bytes) {
        assert!(place.start < place.end && place.end <= bytes.len());
    }
    let text = String::from_utf8_lossy(bytes).into_owned();
    // Options may name files, which would be read.
    if text.contains("/dev") || text.contains("/proc") {
        return;
    }
    let parsed = || KernelArgs::parse(text.clone());
    if let Some(masked) = parsed().masked() {
        assert_eq!(KernelArgs::parse(masked).masked(), None);
    }
    let mut environment = Vec::new();
    if let Ok(entries) = file::parse(&text) {
        for entry in entries {
            assert!(entry.line <= text.lines().count() + 1);
            let name = format!("OS_{}__{}", entry.group, entry.key).to_uppercase();
            environment.push((name, entry.value.to_string()));
        }
    }
    let nothing = Vec::new;
    for (kernel, media, environment) in [
        (parsed(), None, nothing()),
        (KernelArgs::default(), Some(parsed()), nothing()),
        (parsed(), Some(parsed()), environment),
    ] {
        let sources = Sources {
            kernel,
            media,
            environment,
            command_line: CommandLine::default(),
        };
        let root = Root::at("/nonexistent");
        let _ = sources.known(&root);
        match load(&root, sources) {
            Ok(loaded) => assert!(loaded.settings.iter().count() > 0),
            Err(error) => assert!(!error.0.is_empty()),
        }
    }
}
