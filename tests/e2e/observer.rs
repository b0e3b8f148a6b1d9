//! Those who may look and not touch: a reader of the whole system, by Keystone's word, and the holder of the observer's secret.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::{DEPLOYED, image, step};
use support::lab::guest::{Guest, sha256};
use support::lab::identity::Scope;
use support::lab::instance::Clusters;
use support::lab::{Boot, Lab};

#[test]
fn a_reader_follows_a_deployment_from_start_to_end_and_every_change_he_tries_is_refused()
-> Result<()> {
    let (lab, keystone) = Lab::start_with_keystone("observer", HOUR)?;
    println!("    logs and consoles: {}", lab.logs().display());
    let (machine, node) = lab.machine("watched", 1, Boot::Ipxe)?;
    let identity = &keystone.identity;
    let reader = identity.user_with("reader", "reader", Scope::System)?;
    let token = identity.token(&reader, Scope::System)?;

    step("the ramdisk is told where Keystone is, and the hash of the observer's secret");
    let arguments = format!(
        "%default% ferrite-keystone-auth-url={} ferrite-observer-token-sha256={}",
        keystone.url(),
        sha256(SECRET)
    );
    node.set("/driver_info/kernel_append_params", &json!(arguments))?;

    step("both follow what Ironic has the agent do, and try to change it");
    let file = lab.image("watched", 192)?.qcow2(Clusters::Plain)?;
    let url = format!("{}?temp_url_sig={SIGNATURE}", lab.web.publish(&file)?);
    node.set("/instance_info", &image(&url, &file, "qcow2")?)?;
    let drive = json!({
        "meta_data": {"name": "watched", "uuid": node.uuid},
        "user_data": PASSWORD,
    });
    node.provision("active", &json!({"configdrive": drive}))?;
    let mut followers = Vec::new();
    node.watch("active", DEPLOYED, &mut |seen| {
        node.tell(&seen);
        if followers.is_empty()
            && let Some(agent) = node.agent()?
        {
            let agent = agent.caller();
            followers = vec![
                Follower::of("reader", Guest::with_token(&agent, &token)),
                Follower::of("observer", Guest::with_secret(&agent, SECRET)),
            ];
        }
        followers.iter_mut().try_for_each(Follower::look)
    })?;

    step("they saw all of it, and no secret");
    ensure!(!followers.is_empty(), "no agent was seen");
    for follower in &followers {
        follower.check()?;
    }
    let said = machine.console_since(0)?;
    ensure!(said.contains(&arguments["%default% ".len()..]), "{said}");
    Ok(())
}

/// Somebody who looks again and again.
struct Follower {
    name: &'static str,
    guest: Guest,
    /// What the step that writes the image told of its progress, look after look.
    written: Vec<u64>,
    has_succeeded: bool,
    /// The machine is switched off: there is nothing to see any more.
    is_over: bool,
    refused: usize,
    /// All that was read.
    read: String,
}

impl Follower {
    fn of(name: &'static str, guest: Guest) -> Self {
        Self {
            name,
            guest,
            written: Vec::new(),
            has_succeeded: false,
            is_over: false,
            refused: 0,
            read: String::new(),
        }
    }

    /// Reads what there is to read, and tries one change. That the agent does not answer is the end, when its work is done.
    fn look(&mut self) -> Result<()> {
        if self.is_over {
            return Ok(());
        }
        match self.read_and_try() {
            Err(error) if self.has_succeeded && error.is::<reqwest::Error>() => {
                println!("    the {} sees the agent no more", self.name);
                self.is_over = true;
                Ok(())
            }
            result => result,
        }
    }

    fn read_and_try(&mut self) -> Result<()> {
        let (commands, text) = self.guest.commands()?;
        self.read.push_str(&text);
        for command in commands.iter().filter(|command| is_of_writing(command)) {
            self.note(command);
        }
        for path in ["/v1/inventory", "/v1/log"] {
            let (status, text) = self.guest.read(path)?;
            ensure!(status == 200, "{path}: {status}: {text}");
            self.read.push_str(&text);
        }
        let change = CHANGES[self.refused % CHANGES.len()];
        self.guest.assert_may_not_run(change)?;
        self.refused += 1;
        Ok(())
    }

    fn note(&mut self, command: &Value) {
        match command["command_status"].as_str() {
            Some("RUNNING") => {
                let progress = &command["command_result"]["progress"];
                let is_writing = progress["phase"] == "writing";
                let bytes = progress["bytes"].as_u64().filter(|_| is_writing);
                if let Some(bytes) = bytes.filter(|bytes| self.written.last() != Some(bytes)) {
                    println!("    the {} sees {bytes} bytes written", self.name);
                    self.written.push(bytes);
                }
            }
            Some("SUCCEEDED") if !self.has_succeeded => {
                println!("    the {} sees that it succeeded", self.name);
                self.has_succeeded = true;
            }
            _ => {}
        }
    }

    fn check(&self) -> Result<()> {
        let Self { name, refused, .. } = self;
        println!("    {refused} changes of the {name} were refused");
        ensure!(*refused >= CHANGES.len(), "the {name} tried but {refused}");
        ensure!(self.has_succeeded, "the {name} did not see the end");
        let grew = self.written.is_sorted() && self.written.len() > 1;
        ensure!(grew, "the {name} saw {:?} bytes written", self.written);
        for secret in [PASSWORD, SIGNATURE, SECRET] {
            ensure!(!self.read.contains(secret), "the {name} has read {secret}");
        }
        // What is masked was there.
        for masked in [MASKED_DRIVE, "temp_url_sig=******"] {
            ensure!(self.read.contains(masked), "the {name} reads no {masked}");
        }
        Ok(())
    }
}

/// The step's name is in its result, which is none before its end.
fn is_of_writing(command: &Value) -> bool {
    let result = &command["command_result"];
    command["command_name"] == "execute_deploy_step"
        && (result["deploy_step"]["step"] == "write_image" || result["progress"].is_object())
}

const CHANGES: [&str; 4] = [
    "standby.power_off",
    "standby.prepare_image",
    "deploy.execute_deploy_step",
    "system.lockdown",
];
const HOUR: Duration = Duration::from_secs(3600);
const MASKED_DRIVE: &str = r#""configdrive": "******""#;
const PASSWORD: &str = "the first password of the instance";
const SECRET: &str = "what-the-observer-shows";
const SIGNATURE: &str = "signature-of-the-image";
