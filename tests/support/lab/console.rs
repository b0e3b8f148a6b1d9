//! What the serial console of a machine shows of its boot: how far it has come, and whether it is stuck.

use std::time::Duration;

/// How far a boot has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The firmware or a boot loader runs.
    Firmware,
    /// The firmware or a boot loader has nothing to boot, and waits for somebody to type: its line.
    NothingToBoot(String),
    /// The kernel runs, and no program yet.
    Kernel,
    /// The kernel reports that it makes no progress: its first line about that.
    Stalled {
        /// That line.
        report: String,
        /// Whether the agent has spoken by then.
        boot: Boot,
    },
    /// The kernel has given up: its line.
    Panicked(String),
    /// A program runs.
    UserSpace,
}

/// Whether a boot can be repeated without Ironic noticing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// The agent has spoken to Ironic.
    Registered,
    /// It has not.
    Unregistered,
}

/// What a wait does about a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is wrong yet.
    Wait,
    /// The machine starts once more: why.
    PowerCycle(String),
    /// The wait is in vain: why.
    Fail(String),
}

impl Condition {
    /// Reads the console from the machine's power-on on. The last boot in it counts.
    pub fn of(console: &str) -> Self {
        let mut reader = Reader::default();
        console.lines().for_each(|line| reader.read(line));
        reader.condition
    }

    /// What to do after the machine has been in this condition for so long, and its console silent for so long.
    pub fn verdict(&self, age: Duration, quiet: Duration, restarts: u32) -> Verdict {
        let stalled = |why: String, boot| match (boot, restarts) {
            (Boot::Unregistered, 0) => Verdict::PowerCycle(why),
            (Boot::Unregistered, _) => {
                Verdict::Fail(format!("{why}, after a restart for the same"))
            }
            (Boot::Registered, _) => {
                Verdict::Fail(format!("{why}, and Ironic would notice a restart"))
            }
        };
        match self {
            Self::Firmware if age > FIRMWARE_TIMEOUT => {
                let seconds = FIRMWARE_TIMEOUT.as_secs();
                Verdict::Fail(format!("the firmware started no kernel in {seconds} s"))
            }
            Self::NothingToBoot(line) if quiet > PROMPT_TIMEOUT => {
                Verdict::Fail(format!("the firmware has nothing to boot (\"{line}\")"))
            }
            Self::Kernel if quiet > KERNEL_TIMEOUT => {
                let seconds = KERNEL_TIMEOUT.as_secs();
                let why = format!("the kernel stalled (silent for {seconds} s)");
                stalled(why, Boot::Unregistered)
            }
            Self::Stalled { report, boot } if age > STALL_TIMEOUT => {
                stalled(format!("the kernel stalled (\"{report}\")"), *boot)
            }
            Self::Panicked(line) if quiet > PANIC_TIMEOUT => {
                Verdict::Fail(format!("the kernel panicked (\"{line}\")"))
            }
            _ => Verdict::Wait,
        }
    }
}

struct Reader {
    condition: Condition,
    boot: Boot,
    /// The kernel's time of its last word about a stall, and the condition before the first.
    stall: Option<(f64, Condition)>,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            condition: Condition::Firmware,
            boot: Boot::Unregistered,
            stall: None,
        }
    }
}

impl Reader {
    fn read(&mut self, line: &str) {
        let holds = |marks: &[&str]| marks.iter().any(|mark| line.contains(mark));
        if self.is_in_firmware() && holds(NOTHING_TO_BOOT) {
            self.condition = Condition::NothingToBoot(clean(line));
        } else if holds(FIRMWARE) || holds(MACHINE_ENDS) {
            *self = Self::default();
        } else if line.contains("Linux version ") {
            *self = Self {
                condition: Condition::Kernel,
                ..Self::default()
            };
        } else if line.contains("Kernel panic - not syncing") {
            self.condition = Condition::Panicked(clean(line));
        } else if holds(STALLS) {
            self.stalled(line);
        } else {
            self.progress(line, holds(USER_SPACE));
        }
    }

    fn is_in_firmware(&self) -> bool {
        let condition = &self.condition;
        matches!(condition, Condition::Firmware | Condition::NothingToBoot(_))
    }

    fn stalled(&mut self, line: &str) {
        let time = kernel_time(line).unwrap_or_default();
        let before = match (&self.condition, self.stall.take()) {
            (Condition::Panicked(_), _) => return,
            (Condition::Stalled { .. }, Some((_, before))) => before,
            (condition, _) => {
                let before = condition.clone();
                let (report, boot) = (clean(line), self.boot);
                self.condition = Condition::Stalled { report, boot };
                before
            }
        };
        self.stall = Some((time, before));
    }

    /// A line that shows that the machine is alive, unless it belongs to the report of a stall or a panic.
    fn progress(&mut self, line: &str, user_space: bool) {
        if matches!(self.condition, Condition::Panicked(_)) {
            return;
        }
        let room = logging_room(line);
        if room.is_some_and(|room| room.starts_with("conductor")) {
            self.boot = Boot::Registered;
        }
        if user_space || room.is_some() {
            (self.condition, self.stall) = (Condition::UserSpace, None);
            return;
        }
        let goes_on = |(stalled, _): &mut (f64, Condition)| {
            kernel_time(line).is_some_and(|time| time > *stalled + REPORT_SECONDS)
        };
        if let Some((_, before)) = self.stall.take_if(goes_on) {
            self.condition = before;
        }
    }
}

/// The seconds at the head of a line of the kernel's: `[   26.270014] rcu: …`.
fn kernel_time(line: &str) -> Option<f64> {
    let (time, _) = line.trim_start().strip_prefix('[')?.split_once(']')?;
    time.trim().parse().ok()
}

/// The room of a line of Ferrite's log: `2026-11-23T10:00:00.000Z INFO  conductor::lookup: …`.
fn logging_room(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let (time, level, room) = (words.next()?, words.next()?, words.next()?);
    let is_time = time.contains('T') && time.contains(':');
    let is_level = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&level);
    (is_time && is_level).then(|| room.trim_end_matches(':'))
}

/// Without control characters, escape sequences of terminals (ECMA-48), and the kernel's time.
fn clean(line: &str) -> String {
    let mut text = String::new();
    let mut escaped = false;
    for c in line.chars() {
        match c {
            '\u{1b}' => escaped = true,
            _ if escaped => escaped = !c.is_ascii_alphabetic(),
            _ if c.is_control() => {}
            _ => text.push(c),
        }
    }
    let text = match text.split_once("] ") {
        Some((time, rest)) if time.trim_start().starts_with('[') => rest,
        _ => &text,
    };
    text.trim().into()
}

/// Lines of OVMF, iPXE and GRUB when they begin with something.
const FIRMWARE: &[&str] = &[
    "BdsDxe: loading Boot",
    "BdsDxe: starting Boot",
    ">>Start ",
    "iPXE initialising",
    "GNU GRUB",
];
const NOTHING_TO_BOOT: &[&str] = &[
    "BdsDxe: No bootable option or device was found",
    "UEFI Interactive Shell",
    "Shell>",
    "grub>",
    "grub rescue>",
];
/// The kernel's last line (kernel/reboot.c).
const MACHINE_ENDS: &[&str] = &["reboot: Power down", "reboot: Restarting system"];
/// The kernel's last line before the first program (init/main.c), and the lab's instances, whose kernels are quiet.
const USER_SPACE: &[&str] = &["as init process", "FERRITE-INSTANCE-"];
/// kernel/rcu/tree_stall.h and kernel/watchdog.c.
const STALLS: &[&str] = &[
    "detected stalls on CPUs/tasks",
    "detected expedited stalls on",
    "self-detected stall on CPU",
    "kthread starved for",
    "kthread timer wakeup didn't happen for",
    "Possible timer handling issue on cpu=",
    "soft lockup - CPU#",
    "Hard LOCKUP",
    "hard LOCKUP",
];
/// A report with its call traces is written in less, even to an emulated serial console.
const REPORT_SECONDS: f64 = 5.0;
/// In software emulation on a busy computer a boot loader is in the kernel after a minute at most.
const FIRMWARE_TIMEOUT: Duration = Duration::from_secs(240);
/// A prompt may be followed by what the firmware tries next.
const PROMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than any step of the kernel's start takes.
const KERNEL_TIMEOUT: Duration = Duration::from_secs(120);
/// A kernel that only waited for its processor goes on before that. It reports a stall after 21 s, and again after 63 s more.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// The call trace follows its line.
const PANIC_TIMEOUT: Duration = Duration::from_secs(2);
