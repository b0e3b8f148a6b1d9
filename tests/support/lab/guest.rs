//! Somebody at an agent's own API, with a credential that is not the conductor's.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use reqwest::Method;
use serde_json::{Value, json};

use super::caller::Caller;
use super::identity::Token;

/// Who asks, and whom.
#[derive(Clone, Debug)]
pub struct Guest {
    agent: Caller,
    header: (&'static str, String),
}

impl Guest {
    /// The holder of the observer's secret.
    pub fn with_secret(agent: &Caller, secret: &str) -> Self {
        Self {
            agent: agent.clone(),
            header: ("Authorization", format!("Bearer {secret}")),
        }
    }

    /// The holder of a token of Keystone's.
    pub fn with_token(agent: &Caller, token: &Token) -> Self {
        let (name, token) = token.header();
        Self {
            agent: agent.clone(),
            header: (name, token.into()),
        }
    }

    /// The status and the text that a path answers.
    pub fn read(&self, path: &str) -> Result<(u16, String)> {
        let answer = self
            .agent
            .send(Method::GET, path, &[self.credential()], None)?;
        Ok((answer.status().as_u16(), answer.text()?))
    }

    /// The status that reading the commands answers.
    pub fn status(&self) -> Result<u16> {
        Ok(self.read(COMMANDS)?.0)
    }

    /// The records of the agent's commands, and all of the answer that holds them.
    pub fn commands(&self) -> Result<(Vec<Value>, String)> {
        let (status, text) = self.read(COMMANDS)?;
        ensure!(status == 200, "{status}: {text}");
        let told: Value = serde_json::from_str(&text)?;
        let commands = told["commands"].as_array().context("no commands")?;
        Ok((commands.clone(), text))
    }

    /// The status and the answer to a command, which is run without parameters.
    pub fn run(&self, command: &str) -> Result<(u16, Value)> {
        let body = json!({"name": command, "params": {}});
        self.agent.post(COMMANDS, &[self.credential()], &body)
    }

    /// A command is refused by the rule that lets nobody run commands but administrators.
    pub fn assert_may_not_run(&self, command: &str) -> Result<()> {
        let (status, told) = self.run(command)?;
        let text = &told["faultstring"];
        ensure!(
            status == 403 && *text == denied("baremetal:agent:command:run"),
            "{command}: {status}: {told}"
        );
        Ok(())
    }

    fn credential(&self) -> (&str, &str) {
        (self.header.0, &self.header.1)
    }
}

/// What is said to a known caller without the right.
pub fn denied(rule: &str) -> String {
    format!("403 Forbidden: Access was denied to the following resource: {rule}")
}

/// What an agent knows the observer's secret by.
pub fn sha256(secret: &str) -> String {
    let mut digits = String::new();
    for byte in digest(&SHA256, secret.as_bytes()).as_ref() {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

const COMMANDS: &str = "/v1/commands/";
