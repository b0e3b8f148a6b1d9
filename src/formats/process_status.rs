//! What the kernel says of a process in `/proc/PID/status` (proc_pid_status(5)).

/// The effective capabilities as bits (`linux/capability.h`); `None` where the text does not tell.
#[must_use]
pub fn effective_capabilities(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_the_bits_of_their_own_line() {
        let status = "Name:\tCapEff\nCapPrm:\t0000000000000001\nCapEff:\t000001ffffbfffff\n";
        assert_eq!(effective_capabilities(status), Some(0x1ff_ffbf_ffff));
        assert_eq!(effective_capabilities("CapEff:\tmany\n"), None);
        assert_eq!(effective_capabilities(""), None);
    }
}
