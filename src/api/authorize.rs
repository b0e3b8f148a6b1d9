//! Decides whether a caller may do what it requests. This is the only place that does, before a
//! body is read and before any work.
//!
//! The body holds the command's name, so a command is authorized twice: [`Authorizer::authorize`]
//! permits the caller to run commands, [`Authorized::check_command`] permits this command.

use super::authenticate::Authenticator;
use super::caller::Caller;
use super::fault::Fault;
use super::query::Query;
use super::routes::Operation;
use super::wire::RunRequest;
use crate::command::Params;
use crate::policy::names::{COMMAND, SECRETS_SHOW, STEP};
use crate::policy::{Attributes, Denied, Enforcer, Refusal};
use hyper::http::request::Parts;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Authenticates clients and enforces the policy.
#[derive(Clone, Debug)]
pub struct Authorizer {
    /// Credentials that identify callers.
    pub credentials: Authenticator,
    /// Policy that defines what each caller may do.
    pub policy: Arc<Enforcer>,
    /// The node's attributes, inventory and log.
    pub subject: Arc<dyn Resources>,
}

/// Resources that the API serves besides commands.
pub trait Resources: fmt::Debug + Send + Sync {
    /// Returns the attributes of the node, the target of `%(node.owner)s` in rules: `node.uuid`,
    /// `node.owner` and `node.lessee`, as far as they are known.
    fn attributes(&self) -> Attributes;

    /// Returns the hardware inventory as Ironic receives it. The call blocks while it collects.
    fn inventory(&self) -> Value;

    /// Returns the agent's log, without secrets.
    fn log(&self) -> String;
}

/// Proof that a caller is authorized for its request. Only [`Authorizer`] creates one.
#[derive(Debug)]
pub(super) struct Authorized<'a> {
    gate: &'a Authorizer,
    operation: Operation<'a>,
    head: &'a Parts,
    decided_at: Instant,
    caller: Caller,
    target: Attributes,
}

impl Authorizer {
    /// Authorizes a request by its head. If the policy grants a public operation to anonymous
    /// clients, the credentials are not checked.
    ///
    /// # Errors
    /// [`Fault::Unauthorized`] for a missing or wrong credential, [`Fault::Forbidden`] for a known
    /// caller without permission, [`Fault::Unavailable`] if Keystone cannot validate the token.
    pub(super) async fn authorize<'a>(
        &'a self,
        operation: Operation<'a>,
        head: &'a Parts,
    ) -> Result<Authorized<'a>, Fault> {
        let rule = operation.rule();
        let mut admitted = Authorized {
            gate: self,
            operation,
            head,
            decided_at: Instant::now(),
            caller: Caller::Anonymous,
            target: self.subject.attributes(),
        };
        if operation.is_public() && admitted.passes(rule).is_ok() {
            return Ok(admitted);
        }
        let query = Query::of(&head.uri);
        admitted.caller = self.credentials.authenticate(query, &head.headers).await?;
        // Set only after Keystone has responded, which may take long.
        admitted.decided_at = Instant::now();
        // Whatever the policy allows, a command requires a credential.
        if operation == Operation::Run && admitted.is_anonymous() {
            return Err(Fault::Unauthorized);
        }
        admitted.check(rule)?;
        Ok(admitted)
    }
}

impl Authorized<'_> {
    /// Repeats [`Authorizer::authorize`] if its decision is older than `holds`. A request may have
    /// waited for a body, a turn or the end of a command. Meanwhile the policy may have changed or
    /// the caller's token may have expired. The agent token does not expire while the agent
    /// responds.
    ///
    /// # Errors
    /// As [`Authorizer::authorize`].
    pub(super) async fn renew(&mut self, holds: Duration) -> Result<(), Fault> {
        if !self.holds(holds) {
            *self = self.gate.authorize(self.operation, self.head).await?;
        }
        Ok(())
    }

    /// Returns whether the decision is still valid.
    pub(super) fn holds(&self, holds: Duration) -> bool {
        self.is_conductors() || self.decided_at.elapsed() < holds
    }

    /// Checks whether the caller may run this command: by the rules of the command, of its step,
    /// and of each command in a flow. A name without a rule is no command that could run; the
    /// dispatcher refuses it later.
    ///
    /// # Errors
    /// [`Fault::Forbidden`].
    pub(super) fn check_command(&mut self, request: &RunRequest) -> Result<(), Fault> {
        self.check_command_named(&request.name, &request.params)
    }

    /// Checks the command's name alone, for a request with parameters still to come.
    ///
    /// # Errors
    /// As [`Self::check_command`].
    pub(super) fn check_command_name(&mut self, name: &str) -> Result<(), Fault> {
        self.check_command_named(name, &Params::new())
    }

    fn check_command_named(&mut self, name: &str, params: &Params) -> Result<(), Fault> {
        self.target.insert("command".to_owned(), name.into());
        self.check_if_known(&format!("{COMMAND}{name}"))?;
        let step = params.get("step").and_then(|step| step.get("step"));
        if let Some(step) = step.and_then(Value::as_str) {
            self.target.insert("step".to_owned(), step.into());
            self.check_if_known(&format!("{STEP}{step}"))?;
            self.target.remove("step");
        }
        let flow = params.get("flow").and_then(Value::as_array);
        for commands in flow.into_iter().flatten().filter_map(Value::as_object) {
            for (name, params) in commands {
                let nothing = Params::new();
                self.check_command_named(name, params.as_object().unwrap_or(&nothing))?;
            }
        }
        Ok(())
    }

    /// Returns whether results include secrets for this caller.
    pub(super) fn sees_secrets(&self) -> bool {
        self.passes(SECRETS_SHOW).is_ok()
    }

    /// Returns whether the caller is the conductor.
    pub(super) fn is_conductors(&self) -> bool {
        matches!(self.caller, Caller::Agent)
    }

    /// Returns whether the request showed no credential.
    pub(super) fn is_anonymous(&self) -> bool {
        matches!(self.caller, Caller::Anonymous)
    }

    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    fn passes(&self, rule: &str) -> Result<(), Denied> {
        let policy = &self.gate.policy;
        policy.enforce(rule, self.caller.attributes(), &self.target)
    }

    fn check(&self, rule: &str) -> Result<(), Fault> {
        self.passes(rule).map_err(|denied| self.refused(denied))
    }

    fn check_if_known(&self, rule: &str) -> Result<(), Fault> {
        match self.passes(rule) {
            Ok(()) => Ok(()),
            Err(Denied {
                why: Refusal::UnknownRule,
                ..
            }) => Ok(()),
            Err(denied) => Err(self.refused(denied)),
        }
    }

    fn refused(&self, denied: Denied) -> Fault {
        match self.is_anonymous() {
            true => Fault::Unauthorized,
            false => Fault::Forbidden(self.caller.clone(), denied),
        }
    }
}
