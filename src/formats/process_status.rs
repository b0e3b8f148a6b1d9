//! Status of a process in `/proc/PID/status` and `/proc/PID/stat` (proc_pid_status(5),
//! proc_pid_stat(5)).

/// Returns the effective capabilities as bits (`linux/capability.h`); `None` if the text has none.
#[must_use]
pub fn effective_capabilities(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// Returns whether a line of `/proc/PID/stat` belongs to a running program. Kernel threads and
/// exited processes are not running programs. `false` for a malformed line.
///
/// Other files (`cmdline`, `exe`, `maps`) show this, too, but reading them waits for the process's
/// memory map. The wait is endless if a thread of the process maps a file of a disk that does not
/// respond.
#[must_use]
pub fn is_running_program(stat: &[u8]) -> bool {
    // The name, in parentheses, may have any bytes. It is the last field that may.
    let Some(end) = stat.iter().rposition(|byte| *byte == b')') else {
        return false;
    };
    let fields = stat.get(end + 1..).unwrap_or_default();
    let fields = str::from_utf8(fields).unwrap_or_default();
    let mut fields = fields.split_ascii_whitespace();
    let has_ended = matches!(fields.next(), None | Some("Z" | "X" | "x"));
    // Fields behind the state: parent, group, session, terminal, the terminal's group.
    let flags = fields.nth(5).and_then(|flags| flags.parse::<u32>().ok());
    !has_ended && flags.is_some_and(|flags| flags & PF_KTHREAD == 0)
}

/// Flag of kernel threads (Linux `include/linux/sched.h`).
const PF_KTHREAD: u32 = 0x0020_0000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_the_kernel_and_processes_that_have_ended_are_no_running_programs() {
        let is_running = |name: &str, state: &str, flags: u32| {
            let stat = format!("77 ({name}) {state} 1 77 77 0 -1 {flags} 214 0 0 0 3\n");
            is_running_program(stat.as_bytes())
        };
        for name in [
            "sh",
            "a) b (",
            ") Z 1 77 77 0 -1 2129984 (",
            "a\nb",
            "",
            "\u{e9}",
        ] {
            for state in ["R", "S", "D", "T", "t", "I"] {
                assert!(is_running(name, state, 0x0040_0100), "{name} {state}");
                assert!(!is_running(name, state, 0x0020_8040), "{name} {state}");
            }
            for state in ["Z", "X", "x"] {
                assert!(!is_running(name, state, 0x0040_0100), "{name} {state}");
            }
        }
        assert!(is_running_program(b"5 (\xff\xfe) S 1 5 5 0 -1 4194560 9\n"));
        for none in [
            "",
            "5 (sh",
            "5 (sh)",
            "5 (sh) S",
            "5 (sh) S 1 5 5 0 -1",
            "5 (sh) S 1 5 5 0 -1 x 9",
        ] {
            assert!(!is_running_program(none.as_bytes()), "{none}");
        }
    }

    #[test]
    fn capabilities_are_the_bits_of_their_own_line() {
        let status = "Name:\tCapEff\nCapPrm:\t0000000000000001\nCapEff:\t000001ffffbfffff\n";
        assert_eq!(effective_capabilities(status), Some(0x1ff_ffbf_ffff));
        assert_eq!(effective_capabilities("CapEff:\tmany\n"), None);
        assert_eq!(effective_capabilities(""), None);
    }
}
