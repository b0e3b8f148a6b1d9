//! Known secrets through everything that happens to a machine: a failed deployment, one that succeeds, cleaning. Afterwards
//! every place where a secret could have been left is searched for them: consoles, logs, archives, answers, errors, the
//! disk, and the memory of the machine while the agent waits.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ferrite::formats::gpt;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::{BOOTED, DEPLOYED, image, image_with_wrong_checksum, start_lab, step};
use support::lab::api::{Agent, Node};
use support::lab::canary::{Canaries, Found, Hit};
use support::lab::instance::Clusters;
use support::lab::machine::Machine;
use support::lab::process::{program, run};
use support::lab::{Boot, Lab};

/// Names of the canaries.
const TOKEN: &str = "token";
const USER_DATA: &str = "user data";
const DRIVE: &str = "config drive";
const SIGNATURE: &str = "signature";

#[test]
fn no_secret_is_left_anywhere_by_a_failure_a_deployment_and_cleaning() -> Result<()> {
    let lab = start_lab("canary")?;
    let (machine, node) = lab.machine("canary", 1, Boot::VirtualMedia)?;
    let (user_data, signature) = (random()?, random()?);
    let file = lab.image("canary", 32)?.qcow2(Clusters::Plain)?;
    let url = lab.web.publish(&file)?;
    let url = format!("{url}?temp_url_sig={signature}&temp_url_expires=4102444800");
    let packed = config_drive(&lab, &format!("password={user_data}"))?;
    let drive = json!({"configdrive": packed});
    let mut watch = Watch::new(&lab, &machine, &node);
    let mut report = Report::default();

    step("a deployment fails: its image has another checksum");
    node.set("/instance_info", &image_with_wrong_checksum(&url, "qcow2"))?;
    node.provision("active", &drive)?;
    watch.until("deploy failed")?;
    let failure = node.failure()?;
    ensure!(failure.contains("checksum"), "failed otherwise: {failure}");
    watch.errors.push(failure);

    step("a deployment succeeds; the machine's memory is looked at while the agent waits");
    node.set("/instance_info", &image(&url, &file, "qcow2")?)?;
    node.provision("active", &drive)?;
    watch.memory = Some("memory after a deploy step");
    watch.until("active")?;
    machine.wait_console(0, "FERRITE-INSTANCE-READY", BOOTED)?;
    let others = [
        (USER_DATA, user_data),
        (DRIVE, middle(&packed)?),
        (SIGNATURE, signature),
    ];
    search_disk(&machine, &watch.canaries(&others)?, &mut report)?;

    step("cleaning");
    node.set("/automated_clean", &json!(true))?;
    node.provision("deleted", &json!({}))?;
    watch.memory = Some("memory after a clean step");
    watch.until("available")?;

    step("everything is searched");
    let canaries = watch.canaries(&others)?;
    search_logs(&lab, &machine, &canaries, &mut report)?;
    search_told(&watch, &canaries, &mut report)?;
    report.print(&watch);
    ensure!(
        watch.tokens.len() == 3,
        "not one token for each of three boots: {}",
        watch.tokens.len()
    );
    report.judge(&watch)
}

/// What is noted while Ironic and the agent work.
#[derive(Debug)]
struct Watch<'a> {
    lab: &'a Lab,
    machine: &'a Machine,
    node: &'a Node,
    tokens: BTreeSet<String>,
    /// Every text that the agent answered, and every one that Ironic showed of the node, with the field it was in.
    agent: BTreeSet<(String, String)>,
    ironic: BTreeSet<(String, String)>,
    errors: Vec<String>,
    /// Whether the machine's memory is to be searched at the next pause, and what is said of it then.
    memory: Option<&'static str>,
    memories: Vec<(&'static str, Vec<Hit>)>,
    media: usize,
}

impl<'a> Watch<'a> {
    fn new(lab: &'a Lab, machine: &'a Machine, node: &'a Node) -> Self {
        Self {
            lab,
            machine,
            node,
            tokens: BTreeSet::new(),
            agent: BTreeSet::new(),
            ironic: BTreeSet::new(),
            errors: Vec::new(),
            memory: None,
            memories: Vec::new(),
            media: 0,
        }
    }

    fn until(&mut self, state: &str) -> Result<()> {
        let node = self.node;
        // A failed state that is wanted ends the wait in peace, too.
        node.watch(state, DEPLOYED, &mut |seen| {
            node.tell(&seen);
            fields("node", &node.show()?, &mut self.ironic);
            match node.agent()? {
                Some(agent) => self.look(&agent),
                None => Ok(()),
            }
        })?;
        fields("node", &node.show()?, &mut self.ironic);
        Ok(())
    }

    fn look(&mut self, agent: &Agent) -> Result<()> {
        self.tokens.insert(agent.token().into());
        let mut pause = false;
        for (route, answer) in agent.tells() {
            let Some(commands) = answer["commands"].as_array() else {
                fields(route, &answer, &mut self.agent);
                continue;
            };
            for command in commands {
                let name = command["command_name"].as_str().unwrap_or_default();
                fields(&format!("{route} {name}"), command, &mut self.agent);
            }
            let is = |status: &str| {
                let is = |command: &&Value| command["command_status"] == status;
                commands.iter().filter(is).count()
            };
            let steps = commands.iter().filter(|command| {
                let name = command["command_name"].as_str().unwrap_or_default();
                name.starts_with("execute_") && command["command_status"] == "SUCCEEDED"
            });
            pause = steps.count() > 0 && is("RUNNING") == 0;
        }
        if pause && let Some(when) = self.memory.take() {
            self.search_memory(when, agent.token())?;
        }
        Ok(())
    }

    fn search_memory(&mut self, when: &'static str, token: &str) -> Result<()> {
        let canaries = Canaries::new(&[(TOKEN, token)])?;
        let file = self.lab.logs().with_file_name("memory");
        self.machine.save_memory(&file)?;
        let mut found = Found::default();
        canaries.search_raw(&file, &mut found)?;
        fs::remove_file(&file)?;
        self.memories.push((when, found.hits));
        let mut media = Found::default();
        canaries.search_path(&self.lab.web.root, &mut media)?;
        self.media += media.hits.len();
        Ok(())
    }

    /// Every token there was, and other secrets.
    fn canaries(&self, others: &[(&str, String)]) -> Result<Canaries> {
        let tokens = self.tokens.iter().map(|token| (TOKEN, token.as_str()));
        let others = others.iter().map(|(name, text)| (*name, text.as_str()));
        Canaries::new(&tokens.chain(others).collect::<Vec<_>>())
    }
}

/// What was found where, and whether it may be there.
#[derive(Debug, Default)]
struct Report {
    /// Each place with what was searched there.
    places: Vec<(&'static str, Found)>,
    /// Place, canary and reason of what is there by design, with its count.
    meant: BTreeMap<(&'static str, String, String), usize>,
    /// What is nobody's business but Ironic's.
    foreign: BTreeMap<String, usize>,
    leaks: BTreeSet<String>,
}

impl Report {
    /// Adds what was found at a place; `meant` tells why a hit may be there, if it may.
    fn add(&mut self, place: &'static str, found: Found, meant: impl Fn(&Hit) -> Option<String>) {
        for hit in &found.hits {
            let canary = hit.canary.clone();
            match meant(hit) {
                Some(reason) => *self.meant.entry((place, canary, reason)).or_default() += 1,
                None => {
                    let (at, form) = (&hit.place, hit.form);
                    self.leaks.insert(format!(
                        "{place}: {canary} ({form}) in {at}: {}",
                        shortened(hit)
                    ));
                }
            }
        }
        self.places.push((place, found));
    }

    fn print(&self, watch: &Watch<'_>) {
        println!("    searched, with the number of hits:");
        for (place, found) in &self.places {
            let counts = [TOKEN, USER_DATA, DRIVE, SIGNATURE]
                .map(|canary| format!("{canary} {}", found.count(canary)))
                .join(", ");
            let (files, bytes) = (found.files, found.bytes);
            println!("      {place} ({files} texts or files, {bytes} bytes): {counts}");
        }
        println!("    by design:");
        for ((place, canary, reason), count) in &self.meant {
            println!("      {count} x {canary}, {place}: {reason}");
        }
        println!(
            "      {} x token, the boot media that Ironic published",
            watch.media
        );
        println!("    Ironic's own log, for information: {:?}", self.foreign);
        for (when, hits) in &watch.memories {
            let others = beside_arguments(hits);
            let arguments = hits.len() - others.len();
            println!(
                "    {when}: {arguments} x in copies of the kernel's arguments, {} x beside them",
                others.len()
            );
            for hit in others {
                println!(
                    "      {:#x} ({}) behind {:?}",
                    hit.offset,
                    hit.form,
                    shortened(hit)
                );
            }
        }
        for leak in &self.leaks {
            println!("    LEAK {leak}");
        }
    }

    fn judge(&self, watch: &Watch<'_>) -> Result<()> {
        ensure!(
            self.leaks.is_empty(),
            "secrets were left: {:#?}",
            self.leaks
        );
        let meant: Vec<(&str, &str, &str)> = self
            .meant
            .keys()
            .map(|(place, canary, reason)| (*place, canary.as_str(), reason.as_str()))
            .collect();
        ensure!(meant == MEANT, "not what is there by design: {meant:#?}");
        ensure!(watch.media > 0, "the boot media held no token");
        ensure!(
            watch.memories.len() == 2,
            "there was no pause to look at the memory"
        );
        for (when, hits) in &watch.memories {
            let copies = beside_arguments(hits).len();
            ensure!(copies <= 1, "{when} held {copies} copies of the token");
        }
        Ok(())
    }
}

/// Copies that are no text of a kernel's arguments: those are the boot loader's and the kernel's.
fn beside_arguments(hits: &[Hit]) -> Vec<&Hit> {
    hits.iter()
        .filter(|hit| !hit.before.ends_with(b"ipa-agent-token="))
        .collect()
}

/// The last bytes in front of a hit.
fn shortened(hit: &Hit) -> String {
    let from = hit.before.len().saturating_sub(48);
    String::from_utf8_lossy(hit.before.get(from..).unwrap_or_default())
        .escape_debug()
        .to_string()
}

fn search_disk(machine: &Machine, canaries: &Canaries, report: &mut Report) -> Result<()> {
    let mut disk = File::open(&machine.disk)?;
    let bytes = disk.metadata()?.len();
    let table = gpt::read(&mut disk, bytes, 512)?.context("no partition table")?;
    let last = table.partitions().into_iter().max_by_key(|part| part.first);
    let last = last.context("no partition")?;
    let range = last.first * 512..(last.last + 1) * 512;
    let mut found = Found::default();
    canaries.search_raw(&machine.disk, &mut found)?;
    report.add("the deployed disk", found, |hit| {
        let within = hit.canary == USER_DATA && range.contains(&hit.offset);
        within.then(|| PARTITION.into())
    });
    Ok(())
}

fn search_logs(
    lab: &Lab,
    machine: &Machine,
    canaries: &Canaries,
    report: &mut Report,
) -> Result<()> {
    let mut console = Found::default();
    canaries.search_path(&machine.console, &mut console)?;
    report.add("the console", console, |hit| {
        let line = hit.line();
        let kernels = ["Command line: ", "Kernel command line: ", UNKNOWN];
        if hit.canary == TOKEN && kernels.iter().any(|words| line.contains(words)) {
            Some(KERNEL.into())
        } else if hit.canary == USER_DATA && line.contains("FERRITE-INSTANCE-CONFIG-DRIVE") {
            Some(TENANT.into())
        } else {
            None
        }
    });
    let (mut archives, mut rest) = (Found::default(), Found::default());
    let (mut requests, mut foreign) = (Found::default(), Found::default());
    for entry in fs::read_dir(lab.logs())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let found = match &*name {
            "deploy" => &mut archives,
            "nginx-access.log" => &mut requests,
            name if name.starts_with("ironic") => &mut foreign,
            _ if path == machine.console => continue,
            _ => &mut rest,
        };
        canaries.search_path(&path, found)?;
    }
    ensure!(archives.files > 3, "no log archive was kept: {archives:?}");
    report.add("the log archives that Ironic keeps", archives, |_| None);
    report.add("the image server's log", requests, |hit| {
        (hit.canary == SIGNATURE).then(|| REQUESTS.into())
    });
    report.add("the other logs", rest, |_| None);
    for hit in foreign.hits {
        *report.foreign.entry(hit.canary).or_default() += 1;
    }
    Ok(())
}

fn search_told(watch: &Watch<'_>, canaries: &Canaries, report: &mut Report) -> Result<()> {
    let agent = search_fields(&watch.agent, canaries)?;
    report.add("the agent's answers", agent, |_| None);
    // The reason is the field that the operator wrote the address into.
    let field = |hit: &Hit| {
        let known = hit.canary == SIGNATURE && hit.place == ADDRESS;
        known.then(|| hit.place.clone())
    };
    let ironic = search_fields(&watch.ironic, canaries)?;
    report.add("what Ironic shows of the node", ironic, field);
    let mut errors = Found::default();
    for error in &watch.errors {
        canaries.search("the node's history", error.as_bytes(), &mut errors)?;
    }
    report.add("the errors in the node's history", errors, |_| None);
    Ok(())
}

fn search_fields(texts: &BTreeSet<(String, String)>, canaries: &Canaries) -> Result<Found> {
    let mut found = Found::default();
    for (field, text) in texts {
        canaries.search(field, text.as_bytes(), &mut found)?;
        // A compressed archive, as commands and step arguments carry it.
        if text.starts_with("H4sI") {
            let archive = STANDARD.decode(text)?;
            canaries.search(field, archive.as_slice(), &mut found)?;
        }
    }
    Ok(found)
}

/// Notes every text of an answer with the name of its field.
fn fields(name: &str, value: &Value, texts: &mut BTreeSet<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                fields(&format!("{name}.{key}"), value, texts);
                texts.insert((format!("{name} (a key)"), key.clone()));
            }
        }
        Value::Array(list) => {
            for value in list {
                fields(&format!("{name}[]"), value, texts);
            }
        }
        Value::String(text) => drop(texts.insert((name.into(), text.clone()))),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A config drive as whoever makes it beforehand hands it to Ironic: a compressed ISO image in base64.
fn config_drive(lab: &Lab, user_data: &str) -> Result<String> {
    let folder = lab.logs().with_file_name("config-drive");
    let latest = folder.join("openstack/latest");
    fs::create_dir_all(&latest)?;
    fs::write(latest.join("meta_data.json"), r#"{"name": "canary"}"#)?;
    fs::write(latest.join("user_data"), user_data)?;
    let image = folder.with_extension("iso");
    let mut make = program("genisoimage");
    make.args(["-quiet", "-R", "-V", "config-2", "-o"]);
    run(make.arg(&image).arg(&folder))?;
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&fs::read(&image)?)?;
    Ok(STANDARD.encode(packed.finish()?))
}

/// 64 characters out of the middle of a text.
fn middle(text: &str) -> Result<String> {
    let from = (text.len() / 2).saturating_sub(32);
    let piece = text.get(from..from + 64).context("too short a text")?;
    Ok(piece.into())
}

/// A text that nobody has ever seen.
fn random() -> Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    Ok(format!("canary-{}", id.trim()))
}

/// The kernel on arguments that are not its own: it hands them to the first program.
const UNKNOWN: &str = "Unknown kernel command line parameters ";
/// Where the address of the image is, as the operator gave it.
const ADDRESS: &str = "node.instance_info.image_source";
const KERNEL: &str = "the kernel's own line, before any program runs";
const TENANT: &str = "the deployed system tells its config drive";
const PARTITION: &str = "in the config drive's partition";
const REQUESTS: &str = "the requests for the image";
/// What is there by design, and is there: place, canary, reason or field.
const MEANT: [(&str, &str, &str); 5] = [
    ("the console", TOKEN, KERNEL),
    ("the console", USER_DATA, TENANT),
    ("the deployed disk", USER_DATA, PARTITION),
    ("the image server's log", SIGNATURE, REQUESTS),
    ("what Ironic shows of the node", SIGNATURE, ADDRESS),
];
