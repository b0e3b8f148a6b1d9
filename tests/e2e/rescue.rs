//! UEFI HTTP boot of a node that must never be switched off; and rescue: a person logs in by SSH with the password that
//! was asked for, and the machine comes back.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::{BOOTED, DEPLOYED, image, start_lab, step};
use support::lab::Boot;
use support::lab::instance::Clusters;
use support::lab::volumes::VOLUMES;

#[test]
fn a_machine_that_stays_on_is_deployed_by_http_boot_rescued_entered_and_brought_back() -> Result<()>
{
    let lab = start_lab("rescue")?;
    let devices = MORE_DEVICES.replace("VOLUMES", &lab.volumes()?.display().to_string());
    let (machine, node) = lab.machine_with("patient", 1, Boot::Http, &devices)?;

    step("a qcow2 image becomes active by UEFI's HTTP boot");
    let file = lab.image("patient", 16)?.qcow2(Clusters::Plain)?;
    node.set(
        "/instance_info",
        &image(&lab.web.publish(&file)?, &file, "qcow2")?,
    )?;
    // Virtual media cannot do without a power-off, network boot can.
    node.set("/disable_power_off", &json!(true))?;
    node.provision("active", &json!({}))?;
    node.wait_state("active", DEPLOYED)?;

    step("instead of a power-off the agent went off the network and stayed");
    let said = machine.console_since(0)?;
    ensure!(
        said.contains("the network is down, the machine only waits"),
        "the console tells nothing of a lockdown"
    );
    ensure!(
        !said.contains("reboot: Power down"),
        "the machine was switched off from within"
    );
    let warning = lines_with(&said, "driver=sym53c8xx");
    ensure!(
        warning.lines().count() == 1
            && warning.contains("this storage controller cannot be used")
            && warning.contains("image/modules.list"),
        "the console does not tell of the controller without a driver: {warning}"
    );

    step("the node is rescued, with a token on its kernel's command line");
    node.set(
        "/driver_info/kernel_append_params",
        &json!(format!(
            "%default% console=tty0 console=ttyS0 ipa-agent-token={TOKEN}"
        )),
    )?;
    let mark = machine.console_mark();
    node.provision("rescue", &json!({"rescue_password": PASSWORD}))?;
    let mut agent = None;
    node.watch("rescue", DEPLOYED, &mut |seen| {
        node.tell(&seen);
        if let Some(present) = node.agent()? {
            agent = Some(present);
        }
        Ok(())
    })?;

    step("the screen shows the log, too");
    machine.wait_console(mark, "This machine is a rescue system now", BOOTED)?;
    // Soon, because it has 25 lines.
    let screen = lab.ssh(&machine, "rescue", PASSWORD, "cat /dev/vcs1")?;
    ensure!(
        screen.contains("init: This machine is a rescue system now"),
        "{screen}"
    );

    step("its owner logs in and sees the deployed disk");
    let told = lab.ssh(
        &machine,
        "rescue",
        PASSWORD,
        "id; mkdir /disk && mount /dev/sda1 /disk && ls /disk/EFI/ferrite",
    )?;
    println!("    {}", told.trim().replace('\n', "\n    "));
    ensure!(
        told.contains("uid=0(root)") || told.contains("uid=0(rescue)"),
        "the rescue user is nobody special: {told}"
    );
    ensure!(
        told.to_lowercase().contains("bootx64.csv"),
        "the disk could not be read: {told}"
    );
    ensure!(
        lab.ssh(&machine, "rescue", "not the password", "id")
            .is_err(),
        "any password will do"
    );

    step("its owner mounts the root, and file systems of all kinds, on another disk");
    let told = lab.ssh(
        &machine,
        "rescue",
        PASSWORD,
        "umount /disk && mount /dev/sda3 /disk && cat /disk/etc/hostname",
    )?;
    ensure!(told == "patient\n", "the root could not be read: {told}");
    let told = lab.ssh(&machine, "rescue", PASSWORD, MOUNT)?;
    println!("    {}", told.trim().replace('\n', "\n    "));
    let mounted: Vec<_> = VOLUMES
        .iter()
        .zip(1..)
        .map(|(volume, number)| format!("{number} {} {}", volume.kind, volume.name))
        .collect();
    ensure!(
        told.lines().collect::<Vec<_>>() == mounted,
        "expected {mounted:#?}"
    );
    let told = lab.ssh(&machine, "rescue", PASSWORD, MOUNT_CODE_PAGE)?;
    ensure!(
        told.contains("codepage=850") && told.contains("iocharset=iso8859-15"),
        "vfat with another code page: {told}"
    );

    step("its owner checks file systems, and copies a file out");
    lab.ssh(
        &machine,
        "rescue",
        PASSWORD,
        "e2fsck -fn /dev/sdb1 && fsck.fat -n /dev/sdb8",
    )?;
    let copied = lab.copied(&machine, "rescue", PASSWORD, "/disk/etc/hostname")?;
    ensure!(copied == "patient\n", "copied {copied:?}");

    step("its owner loads a module by hand, and could type at the console");
    let told = lab.ssh(&machine, "rescue", PASSWORD, MODULES)?;
    let expected = "modprobe dm-mod: 0, modprobe no-such: 1 ferrite: there is no module no-such\n\
        / has mode 755\n\
        the keyboard is handled by kbd\n";
    ensure!(told == expected, "{told}");

    step("its owner finds no token, nor anything else of the agent's");
    let told = lab.ssh(&machine, "rescue", PASSWORD, LOOK)?;
    ensure!(
        !told.contains(TOKEN),
        "the token is there: {}",
        lines_with(&told, TOKEN)
    );
    ensure!(
        told.lines()
            .any(|line| line.starts_with("SHOWN ") && line.contains("ipa-agent-token=******")),
        "the kernel shows no covered command line: {told}"
    );
    ensure!(
        told.contains("Kernel command line: ") && told.contains("Linux version"),
        "the kernel's log was not told again: {told}"
    );
    // What process 1 and the network log goes on; what the agent left is gone.
    let logs = ["memfd:ferrite-init-log", "memfd:ferrite-network-log"];
    let memory: Vec<_> = told
        .lines()
        .filter(|line| line.contains("memfd") || line.contains("secretmem"))
        .filter(|line| !logs.iter().any(|log| line.contains(log)))
        .collect();
    ensure!(
        memory.is_empty(),
        "somebody still holds the agent's memory: {memory:#?}"
    );
    ensure!(
        told.contains("RUNS /proc/self/exe network"),
        "the network is no process of its own: {}",
        lines_with(&told, "RUNS")
    );
    let agent = agent.context("no agent was seen while the node was rescued")?;
    ensure!(!agent.answers(), "the agent's API is still there");

    step("its owner restarts it, and the disk is unmounted");
    let mark = machine.console_mark();
    // The connection may be gone before its end is told.
    let _gone = lab.ssh(&machine, "rescue", PASSWORD, "cd /disk && reboot");
    machine.wait_console(mark, "reboot: Restarting system", BOOTED)?;
    let said = machine.console_since(mark)?;
    ensure!(
        said.contains("ending the machine as requested cause=\"SIGTERM (reboot)\" action=Reboot")
            && said.contains("The machine ends end=Reboot")
            && !said.contains("stays mounted")
            && !said.contains("did not end in time"),
        "{said}"
    );

    step("after the rescue the instance is back");
    let mark = machine.console_mark();
    node.provision("unrescue", &json!({}))?;
    node.wait_state("active", DEPLOYED)?;
    machine.wait_console(mark, "FERRITE-INSTANCE-BOOTED patient", BOOTED)?;
    let ssh = SocketAddr::new(lab.dhcp.address(&machine.mac)?.into(), 22);
    ensure!(
        TcpStream::connect_timeout(&ssh, Duration::from_secs(2)).is_err(),
        "the rescue system is still there"
    );
    Ok(())
}

fn lines_with(text: &str, word: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| line.contains(word)).collect();
    lines.join("\n")
}

/// The second disk; a keyboard as a BMC has it; and a storage controller whose driver the ramdisk leaves out.
const MORE_DEVICES: &str = "<disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='unsafe'/>
      <source file='VOLUMES'/>
      <target dev='sdb' bus='scsi'/>
    </disk>
    <input type='keyboard' bus='usb'/>
    <controller type='scsi' index='1' model='lsilogic'/>";
/// No type is named: the kernel finds out. Each takes a new file, too.
const MOUNT: &str = "mkdir /volume
for number in 1 2 3 4 5 6 7 8; do
    mount /dev/sdb$number /volume || continue
    echo new >/volume/new
    echo $number $(awk '$2 == \"/volume\" { print $3 }' /proc/mounts) $(cat /volume/volume)
    umount /volume
done 2>&1";
const MOUNT_CODE_PAGE: &str =
    "mount -t vfat -o codepage=850,iocharset=iso8859-15 /dev/sdb8 /volume 2>&1
grep /volume /proc/mounts
umount /volume";
const MODULES: &str = "/sbin/modprobe dm-mod; echo -n \"modprobe dm-mod: $?, \"
told=$(/sbin/modprobe no-such 2>&1); echo \"modprobe no-such: $? $told\"
stat -c '%n has mode %a' /
find / -xdev ! -type l ! -path /tmp -perm -2
grep -A 5 'USB Keyboard' /proc/bus/input/devices | grep -q 'Handlers=.*kbd' && echo the keyboard is handled by kbd";
const PASSWORD: &str = "correct horse battery";
/// Ironic's own answer takes its place; who looks for it finds whatever shows the command line.
const TOKEN: &str = "planted-0123456789-planted-0123456789-planted";
/// Everything that shows the kernel's command line, and what each process has, was started with and holds open.
const LOOK: &str = "echo SHOWN $(cat /proc/cmdline)
for p in /proc/[0-9]*; do
    echo RUNS $(tr '\\0' ' ' <$p/cmdline)
    tr '\\0' '\\n' <$p/environ
    ls -l $p/fd
done
dmesg
timeout 5 cat /dev/kmsg
true";
