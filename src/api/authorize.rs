//! The one place where it is decided whether a caller may do what it asks for: before a body is read and before any work.
//!
//! A command's name is in the body, so the gate is passed twice on the way to a command: [`Authorizer::admit`] lets the caller run
//! commands at all, [`Admitted::check_command`] lets it run this one.

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

/// What decides.
#[derive(Clone, Debug)]
pub struct Authorizer {
    /// By what callers are known.
    pub credentials: Authenticator,
    /// What each of them may do.
    pub policy: Arc<Enforcer>,
    /// What the API is about.
    pub subject: Arc<dyn Resources>,
}

/// What the API is about, beside commands.
pub trait Resources: fmt::Debug + Send + Sync {
    /// What rules may compare a caller with, the target of `%(node.owner)s`: `node.uuid`, `node.owner` and `node.lessee`, as far as
    /// they are known.
    fn attributes(&self) -> Attributes;

    /// What the machine is, as Ironic gets it. Takes its time.
    fn inventory(&self) -> Value;

    /// The agent's log, without secrets.
    fn log(&self) -> String;
}

/// Proof that a caller may do what it asked for. Only [`Authorizer`] makes one.
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
    /// Decides by the request's head. Who asks for what everybody may read is not looked at.
    ///
    /// # Errors
    /// [`Fault::Unauthorized`] for who shows nothing or something wrong, [`Fault::Forbidden`] for a known caller without the
    /// right, [`Fault::Unavailable`] where nobody can say who it is.
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
        // Not before Keystone has answered, which may take long.
        admitted.decided_at = Instant::now();
        // Whatever a policy says: no command without a credential.
        if operation == Operation::Run && admitted.is_anonymous() {
            return Err(Fault::Unauthorized);
        }
        admitted.check(rule)?;
        Ok(admitted)
    }
}

impl Authorized<'_> {
    /// Decides again what [`Authorizer::admit`] decided, if that was longer ago than `holds`: a request may have waited for a body, a turn or
    /// a command's end, and meanwhile the policy is another, or the caller's token over. The agent token does not end while the
    /// agent answers.
    ///
    /// # Errors
    /// As of [`Authorizer::admit`].
    pub(super) async fn renew(&mut self, holds: Duration) -> Result<(), Fault> {
        if !self.holds(holds) {
            *self = self.gate.authorize(self.operation, self.head).await?;
        }
        Ok(())
    }

    /// Whether what was decided still counts.
    pub(super) fn holds(&self, holds: Duration) -> bool {
        self.is_conductors() || self.decided_at.elapsed() < holds
    }

    /// Decides whether this command may be run: by its own rule, by that of its step, and by those of each command in a flow.
    /// What has no rule is nothing that could run, and is refused by name later.
    ///
    /// # Errors
    /// [`Fault::Forbidden`].
    pub(super) fn check_command(&mut self, request: &RunRequest) -> Result<(), Fault> {
        self.check_command_named(&request.name, &request.params)
    }

    /// The same by the name alone, for a request whose parameters have not come yet.
    ///
    /// # Errors
    /// [`Fault::Forbidden`].
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

    /// Whether secrets in results are shown to this caller.
    pub(super) fn sees_secrets(&self) -> bool {
        self.passes(SECRETS_SHOW).is_ok()
    }

    /// Whether the conductor asks.
    pub(super) fn is_conductors(&self) -> bool {
        matches!(self.caller, Caller::Agent)
    }

    /// Whether nobody said who asks.
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
