//! How the lab judges a machine by its console (`tests/support/lab/console.rs`), with consoles that were recorded.
#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use support::lab::console::{Boot, Condition, Verdict};

/// Debian's kernel without a root file system.
const PANIC: &str = include_str!("fixtures/console/panic.txt");
/// One of two emulated processors stood still for 75 s, and went on. Shortened.
const STALL_AND_RECOVERY: &str = include_str!("fixtures/console/stall-and-recovery.txt");
/// OVMF without a disk, network card or medium.
const FIRMWARE_SHELL: &str = include_str!("fixtures/console/firmware-shell.txt");
/// What a machine said that came up no more: two emulated processors on a busy host.
const STALL_FOR_GOOD: &str = "\
[    0.000000] Linux version 6.1.0-57-amd64
[   26.270014] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
[   26.270014] rcu: \tPossible timer handling issue on cpu=0 timer-softirq=287
[   26.270014] rcu: rcu_preempt kthread starved for 5251 jiffies! g-1007 f0x0 RCU_GP_WAIT_FQS(5) ->state=0x402 ->cpu=0
[   26.270014] rcu: \tUnless rcu_preempt kthread gets sufficient CPU time, OOM is now expected behavior.
";
const BOOTS: &str = "\
BdsDxe: loading Boot0001 \"UEFI QEMU DVD-ROM\" from PciRoot(0x0)/Pci(0x1F,0x2)/Sata(0x0,0xFFFF,0x0)\r
BdsDxe: starting Boot0001 \"UEFI QEMU DVD-ROM\" from PciRoot(0x0)/Pci(0x1F,0x2)/Sata(0x0,0xFFFF,0x0)\r
[    0.000000] Linux version 6.1.0-57-amd64 (debian-kernel@lists.debian.org)\r
[    1.894112] Run /init as init process\r
2026-11-30T01:49:08.620Z INFO  init: Ferrite starts this machine version=0.1.0\r
";
const REGISTERS: &str = "2026-11-30T01:49:12.002Z INFO  conductor::lookup: looking the node up addresses=http://172.30.77.1:6385\r\n";

const NEVER: Duration = Duration::from_secs(100_000);

fn verdict(condition: &Condition, seconds: u64, restarts: u32) -> Verdict {
    let time = Duration::from_secs(seconds);
    condition.verdict(time, time, restarts)
}

fn stalled(report: &str, boot: Boot) -> Condition {
    let report = report.into();
    Condition::Stalled { report, boot }
}

fn fail(why: &str) -> Verdict {
    Verdict::Fail(why.into())
}

#[test]
fn a_boot_goes_from_the_firmware_by_the_kernel_to_user_space() {
    let mut seen = Vec::new();
    let mut text = String::new();
    for line in BOOTS.lines() {
        text.push_str(line);
        text.push('\n');
        seen.push(Condition::of(&text));
    }
    use Condition::{Firmware, Kernel, UserSpace};
    assert_eq!(seen, [Firmware, Firmware, Kernel, UserSpace, UserSpace]);
    assert_eq!(Condition::of(""), Firmware);
    assert_eq!(UserSpace.verdict(NEVER, NEVER, 0), Verdict::Wait);
}

#[test]
fn a_machine_that_restarts_or_ends_is_in_its_firmware_again() {
    for last in ["reboot: Restarting system", "reboot: Power down"] {
        let text = format!("{BOOTS}{STALL_FOR_GOOD}[   30.000000] {last}\r\n");
        assert_eq!(Condition::of(&text), Condition::Firmware, "{last}");
    }
    assert_eq!(
        Condition::of(&format!("{STALL_FOR_GOOD}{BOOTS}")),
        Condition::UserSpace
    );
}

#[test]
fn a_panic_fails_as_soon_as_its_trace_is_written_and_is_never_retried() {
    let line = "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)";
    let panicked = Condition::of(PANIC);
    assert_eq!(panicked, Condition::Panicked(line.into()));
    assert_eq!(verdict(&panicked, 1, 0), Verdict::Wait);
    let why = format!("the kernel panicked (\"{line}\")");
    assert_eq!(verdict(&panicked, 3, 0), fail(&why));
    // What other processors say of it changes nothing.
    let more = format!("{PANIC}{STALL_FOR_GOOD}").replace("Linux version", "");
    assert_eq!(Condition::of(&more), panicked);
}

#[test]
fn a_stall_before_the_agent_spoke_to_ironic_is_restarted_once() {
    let report = "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:";
    let condition = Condition::of(STALL_FOR_GOOD);
    assert_eq!(condition, stalled(report, Boot::Unregistered));
    assert_eq!(verdict(&condition, 29, 0), Verdict::Wait);
    let why = format!("the kernel stalled (\"{report}\")");
    assert_eq!(verdict(&condition, 31, 0), Verdict::PowerCycle(why.clone()));
    assert_eq!(
        verdict(&condition, 31, 1),
        fail(&format!("{why}, after a restart for the same"))
    );
}

#[test]
fn a_stall_after_the_agent_spoke_to_ironic_fails() {
    let text =
        format!("{BOOTS}{REGISTERS}[   80.1] watchdog: BUG: soft lockup - CPU#0 stuck for 56s!\n");
    let condition = Condition::of(&text);
    let report = "watchdog: BUG: soft lockup - CPU#0 stuck for 56s!";
    assert_eq!(condition, stalled(report, Boot::Registered));
    assert_eq!(
        verdict(&condition, 31, 0),
        fail(&format!(
            "the kernel stalled (\"{report}\"), and Ironic would notice a restart"
        ))
    );
}

#[test]
fn a_kernel_that_goes_on_after_its_report_is_not_stalled() {
    let lines: Vec<_> = STALL_AND_RECOVERY.lines().collect();
    let at = |mark: &str| {
        let Some(last) = lines.iter().position(|line| line.contains(mark)) else {
            panic!("the recording has no {mark}");
        };
        Condition::of(&lines.get(..=last).unwrap_or_default().join("\n"))
    };
    let report = "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:";
    for mark in [
        "detected stalls",
        "kthread starved",
        "soft lockup",
        "NMI backtrace for cpu 1",
    ] {
        assert_eq!(at(mark), stalled(report, Boot::Unregistered), "{mark}");
    }
    assert_eq!(at("Freeing initrd memory"), Condition::Kernel);
    assert_eq!(at("Run /init"), Condition::UserSpace);
}

#[test]
fn every_word_of_the_kernel_for_a_stall_is_known() {
    for report in [
        "rcu: INFO: rcu_preempt self-detected stall on CPU",
        "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-... } 21 jiffies s: 5 root: 0x2/.",
        "rcu: rcu_preempt kthread starved for 5251 jiffies! g-1007 f0x0",
        "rcu: rcu_preempt kthread timer wakeup didn't happen for 5250 jiffies! g-1007 f0x0",
        "rcu: \tPossible timer handling issue on cpu=0 timer-softirq=287",
        "watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [swapper/1:0]",
        "NMI watchdog: Watchdog detected hard LOCKUP on cpu 0",
    ] {
        let condition = Condition::of(&format!("{BOOTS}[   40.000000] {report}\n"));
        assert_eq!(
            condition,
            stalled(&report.replace('\t', ""), Boot::Unregistered)
        );
    }
}

#[test]
fn a_kernel_that_falls_silent_before_its_first_program_is_restarted_once() {
    let why = "the kernel stalled (silent for 120 s)";
    assert_eq!(verdict(&Condition::Kernel, 119, 0), Verdict::Wait);
    assert_eq!(
        verdict(&Condition::Kernel, 121, 0),
        Verdict::PowerCycle(why.into())
    );
    assert_eq!(
        verdict(&Condition::Kernel, 121, 1),
        fail(&format!("{why}, after a restart for the same"))
    );
}

#[test]
fn a_firmware_without_anything_to_boot_fails_at_its_prompt() {
    let condition = Condition::of(FIRMWARE_SHELL);
    assert_eq!(condition, Condition::NothingToBoot("Shell>".into()));
    assert_eq!(verdict(&condition, 9, 0), Verdict::Wait);
    assert_eq!(
        verdict(&condition, 11, 0),
        fail("the firmware has nothing to boot (\"Shell>\")")
    );
    let prompt = format!("{BOOTS}[    9.0] reboot: Restarting system\r\ngrub> ");
    assert_eq!(
        Condition::of(&prompt),
        Condition::NothingToBoot("grub>".into())
    );
    // The firmware tries the next entry.
    let next = format!("{FIRMWARE_SHELL}\n{BOOTS}");
    assert_eq!(Condition::of(&next), Condition::UserSpace);
}

#[test]
fn a_firmware_that_starts_no_kernel_fails_after_four_minutes() {
    // It tries and tries, so its console is never silent for long.
    let firmware =
        Condition::of(">>Start PXE over IPv4.\r\n  PXE-E16: No valid offer received.\r\n");
    let quiet = Duration::from_secs(1);
    let verdict = |seconds| firmware.verdict(Duration::from_secs(seconds), quiet, 0);
    assert_eq!(verdict(239), Verdict::Wait);
    assert_eq!(
        verdict(241),
        fail("the firmware started no kernel in 240 s")
    );
}
