//! Command records as the conductor reads them, and the limits of the history.
//!
//! The conductor decides by the last record, and by whether any command but `get_*_steps` ever ran.
//! It reads a result while its record is the last one. The history therefore preserves the order
//! and the newest records. It removes what is not read again, such as a log archive or an echoed
//! config drive; see [`CommandHistory::push`]. The conductor does not know the commands of other
//! callers. Their finished commands are not in its list, and none of them displaces its records.

use super::journal::{SavedRecord, interrupted};
use super::spec::{Commander, Job, Mode};
use crate::error::{AgentError, ErrorClass, shortened};
use crate::progress::Progress;
use crate::redact::mask_json;
use serde_json::{Value, json};
use std::fmt;
use std::io;
use std::sync::Arc;
use tokio::sync::SetOnce;
use uuid::Uuid;

/// Snapshot of a command's record.
#[derive(Clone, PartialEq)]
pub struct CommandView {
    /// Random UUID.
    pub id: String,
    /// Name of the command without its extension.
    pub name: &'static str,
    /// State of the command; secrets in a result are masked.
    pub state: State,
    /// Result with its secrets, if the dispatcher stores them and there are some.
    pub unmasked: Option<Arc<Value>>,
}

impl CommandView {
    /// Returns the status as shown on the wire.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.state {
            State::Running(_) => Status::Running,
            State::Succeeded(_) => Status::Succeeded,
            State::Failed(error) if error.class == ErrorClass::VersionMismatch => {
                Status::VersionMismatch
            }
            State::Failed(_) => Status::Failed,
        }
    }
}

/// Omits the result, which may contain secrets.
impl fmt::Debug for CommandView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}", self.name, self.id, self.status())
    }
}

/// State of a command, with its progress, result or error.
#[derive(Clone, PartialEq)]
#[expect(missing_debug_implementations, reason = "a result may hold secrets")]
pub enum State {
    /// Running, with its progress if it reports any.
    Running(Option<Progress>),
    /// Succeeded, with the result as sent over the wire, without secrets.
    Succeeded(Arc<Value>),
    /// Failed, with the error.
    Failed(AgentError),
}

/// Status of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Ended with an error.
    Failed,
    /// Still running.
    Running,
    /// Ended successfully.
    Succeeded,
    /// The conductor knew other hardware managers than these: it queries the steps again.
    VersionMismatch,
}

impl Status {
    /// Returns the wire form. Ironic's constant for the last one is `VERSION_MISMATCH`, its value
    /// is not.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "FAILED",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::VersionMismatch => "CLEAN_VERSION_MISMATCH",
        }
    }
}

/// Record of one command, from its start on.
pub(super) struct Record {
    pub(super) id: String,
    pub(super) name: &'static str,
    mode: Mode,
    job: Job,
    outcome: SetOnce<Outcome>,
}

impl Record {
    pub(super) fn new(name: &'static str, mode: Mode, job: Job) -> Self {
        Self {
            id: Uuid::new_v4().to_string(),
            name,
            mode,
            job,
            outcome: SetOnce::new(),
        }
    }

    /// Restores a record from a previous agent. A command without an outcome has failed.
    pub(super) fn resumed(name: &'static str, kept: SavedRecord) -> Self {
        let outcome = match kept.outcome {
            Some(Ok(value)) => Outcome::succeeded(value, None),
            Some(Err(error)) => Outcome::Failed(error),
            None => Outcome::Failed(interrupted(name)),
        };
        Self {
            id: kept.id,
            name,
            mode: kept.mode,
            job: Job {
                commander: match kept.is_conductors {
                    true => Commander::Conductor,
                    false => Commander::default(),
                },
                ..Job::default()
            },
            outcome: SetOnce::new_with(Some(outcome)),
        }
    }

    /// Converts the result of the work to the record's outcome.
    pub(super) fn outcome_of(&self, done: Result<Value, AgentError>, secrets: Secrets) -> Outcome {
        match done {
            Ok(value) => Outcome::with(self.named(value), secrets),
            // Details stay in the list permanently.
            Err(error) => Outcome::Failed(AgentError {
                details: shortened(error.details, MAX_DETAILS_LEN),
                ..error
            }),
        }
    }

    /// Ends the record and wakes its waiters. A second call is ignored.
    pub(super) fn finish(&self, outcome: Outcome) {
        let _ = self.outcome.set(outcome);
    }

    /// Returns the record to save for the next agent.
    pub(super) fn saved(&self) -> SavedRecord {
        self.saved_with(self.outcome.get())
    }

    /// Returns the record to save, with this outcome.
    pub(super) fn saved_with(&self, outcome: Option<&Outcome>) -> SavedRecord {
        SavedRecord {
            id: self.id.clone(),
            name: self.name.to_owned(),
            mode: self.mode,
            is_conductors: self.is_conductors(),
            outcome: outcome.map(|outcome| match outcome {
                Outcome::Succeeded { value, .. } => Ok(Arc::clone(value)),
                Outcome::Failed(error) => Err(error.clone()),
            }),
        }
    }

    fn is_conductors(&self) -> bool {
        self.job.commander.is_conductor()
    }

    pub(super) fn is_running(&self) -> bool {
        !self.outcome.initialized()
    }

    /// Waits for the end of the command.
    pub(super) async fn finished(&self) {
        self.outcome.wait().await;
    }

    pub(super) fn view(&self) -> CommandView {
        CommandView {
            id: self.id.clone(),
            name: self.name,
            unmasked: match self.outcome.get() {
                Some(Outcome::Succeeded { unmasked, .. }) => unmasked.clone(),
                None | Some(Outcome::Failed(_)) => None,
            },
            state: match self.outcome.get() {
                None => State::Running(self.job.progress.latest()),
                Some(Outcome::Succeeded { value, .. }) => State::Succeeded(Arc::clone(value)),
                Some(Outcome::Failed(error)) => State::Failed(error.clone()),
            },
        }
    }

    /// Wraps a string, for an asynchronous command after its name (IPA: `base.AsyncCommandResult`).
    fn named(&self, value: Value) -> Value {
        match (value, self.mode) {
            (Value::String(text), Mode::Sync) => json!({ "result": text }),
            (Value::String(text), Mode::Async) => {
                json!({ "result": format!("{}: {text}", self.name) })
            }
            (value, _) => value,
        }
    }

    /// Returns the record without the stored secrets, if there are some.
    fn without_secrets(&self) -> Option<Self> {
        match self.outcome.get() {
            Some(Outcome::Succeeded {
                value,
                unmasked: Some(_),
                ..
            }) => Some(self.ended_with(Outcome::succeeded(Arc::clone(value), None))),
            _ => None,
        }
    }

    fn ended_with(&self, outcome: Outcome) -> Self {
        Self {
            id: self.id.clone(),
            name: self.name,
            mode: self.mode,
            job: self.job.clone(),
            outcome: SetOnce::new_with(Some(outcome)),
        }
    }

    /// Returns the record without its result, if that is too large to be sent with every poll.
    fn truncated(&self) -> Option<Self> {
        match self.outcome.get() {
            Some(Outcome::Succeeded { bytes, held, .. })
                if *bytes > LARGE_RESULT || !self.is_conductors() && *held > LARGE_RESULT =>
            {
                let instead =
                    json!({ "omitted": format!("{bytes} bytes, kept until the next command") });
                Some(self.ended_with(Outcome::succeeded(Arc::new(instead), None)))
            }
            _ => None,
        }
    }
}

/// Outcome of a command.
pub(super) enum Outcome {
    Succeeded {
        /// Result without secrets.
        value: Arc<Value>,
        /// Bytes of its JSON, plus those of the JSON with secrets if that is stored.
        bytes: usize,
        /// Bytes of memory of both. Small values take many times the size of their JSON.
        held: usize,
        /// Result with secrets, if they are stored.
        unmasked: Option<Arc<Value>>,
    },
    Failed(AgentError),
}

/// Treatment of the secrets in a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrets {
    /// They are stored beside the masked result, only in this memory, for callers that may see
    /// them.
    Kept,
    /// They are masked and discarded.
    Masked,
    /// The result contains no recognisable secrets, and must be returned unchanged.
    NotThere,
}

impl Outcome {
    fn with(result: Value, secrets: Secrets) -> Self {
        if secrets == Secrets::NotThere {
            return Self::succeeded(Arc::new(result), None);
        }
        let whole = (secrets == Secrets::Kept).then(|| result.clone());
        let mut masked = result;
        let unmasked = mask_json(&mut masked).then_some(whole).flatten();
        Self::succeeded(Arc::new(masked), unmasked.map(Arc::new))
    }

    fn succeeded(value: Arc<Value>, unmasked: Option<Arc<Value>>) -> Self {
        let mut size = Size(0);
        let mut held = 0_usize;
        for value in [Some(&value), unmasked.as_ref()].into_iter().flatten() {
            // Counting cannot fail, and a JSON value can always be serialized.
            let _ = serde_json::to_writer(&mut size, &**value);
            held = held.saturating_add(held_by(value));
        }
        Self::Succeeded {
            value,
            bytes: size.0,
            held,
            unmasked,
        }
    }
}

/// Records in the order of their commands.
#[derive(Default)]
pub(super) struct CommandHistory(Vec<Arc<Record>>);

impl CommandHistory {
    /// Adds the newest record and enforces the limits. The previous result is removed if it is
    /// larger than [`LARGE_RESULT`]. Beyond [`MAX_RECORDS`] or [`MAX_USERS_RECORDS`], the oldest
    /// record is removed. Both apply only to records of the same kind of caller, the conductor or
    /// all others: neither displaces the other's records.
    ///
    /// Synchronous ones are removed first, so that a list which contained a step never looks like
    /// that of a freshly booted agent.
    pub(super) fn push(&mut self, record: Arc<Record>) {
        let is_like = |before: &&mut Arc<Record>| before.is_conductors() == record.is_conductors();
        if let Some(before) = self.0.iter_mut().rev().find(is_like)
            && let Some(slim) = before.truncated()
        {
            *before = Arc::new(slim);
        }
        let is_like = |other: &Record| other.is_conductors() == record.is_conductors();
        let most = match record.is_conductors() {
            true => MAX_RECORDS,
            false => MAX_USERS_RECORDS,
        };
        if self.0.iter().filter(|other| is_like(other)).count() >= most {
            let oldest = |may_go: &dyn Fn(&Record) -> bool| {
                let mut records = self.0.iter();
                records.position(|other| is_like(other) && may_go(other))
            };
            let lesser = oldest(&|other| other.mode == Mode::Sync).or_else(|| oldest(&|_| true));
            self.0.remove(lesser.unwrap_or(0));
        }
        self.0.push(record);
    }

    /// Removes the secrets stored beside results.
    pub(super) fn forget_secrets(&mut self) {
        for record in &mut self.0 {
            if let Some(masked) = record.without_secrets() {
                *record = Arc::new(masked);
            }
        }
    }

    pub(super) fn last(&self) -> Option<&Arc<Record>> {
        self.0.last()
    }

    pub(super) fn by_id(&self, id: &str) -> Option<Arc<Record>> {
        self.0.iter().find(|record| record.id == id).cloned()
    }

    pub(super) fn views(&self) -> Vec<CommandView> {
        self.0.iter().map(|record| record.view()).collect()
    }

    /// Returns the records by which the conductor decides: its own, and the one that keeps the
    /// agent busy. The last of them is its own or running (Ironic:
    /// `agent_base._get_completed_command`). Without a record of its own, the agent correctly looks
    /// freshly booted to it.
    pub(super) fn conductors_views(&self) -> Vec<CommandView> {
        let views = self.0.iter().map(|record| (record, record.view()));
        let shown = views.filter(|(record, view)| {
            record.is_conductors() || matches!(view.state, State::Running(_))
        });
        shown.map(|(_, view)| view).collect()
    }

    pub(super) fn saved(&self) -> Vec<SavedRecord> {
        self.0.iter().map(|record| record.saved()).collect()
    }
}

/// Estimates the bytes of memory of a value from its length. For an object it assumes the maximum
/// of tree nodes, which hold eleven entries each and are at least half full.
fn held_by(value: &Value) -> usize {
    const NODE: usize = 11 * (size_of::<String>() + size_of::<Value>()) + 2 * size_of::<usize>();
    let mut bytes = size_of::<Value>();
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => bytes += text.capacity(),
        Value::Array(values) => {
            let free = values.capacity() - values.len();
            bytes += free * size_of::<Value>() + values.iter().map(held_by).sum::<usize>();
        }
        Value::Object(fields) => {
            bytes += fields.len().div_ceil(5) * NODE;
            let inner = fields.iter().map(|(name, value)| {
                // The value itself is in its node.
                name.capacity() + held_by(value) - size_of::<Value>()
            });
            bytes += inner.sum::<usize>();
        }
    }
    bytes
}

/// Counts written bytes.
struct Size(usize);

impl io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Maximum size in bytes of a result that is stored permanently: every list of steps is smaller, a
/// log archive is not.
const LARGE_RESULT: usize = 16 * 1024;
/// Maximum length of an error's details, in bytes.
const MAX_DETAILS_LEN: usize = 16 * 1024;
/// Maximum number of the conductor's records. With the two sizes above and the records of others,
/// the history stays below 8 MB. The newest result of the conductor and that of the others come on
/// top.
const MAX_RECORDS: usize = 400;
/// Maximum number of records of all other callers.
const MAX_USERS_RECORDS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::MASK;

    fn of(commander: Commander) -> Job {
        Job {
            commander,
            ..Job::default()
        }
    }

    fn finished(name: &'static str, mode: Mode, outcome: Result<Value, AgentError>) -> Arc<Record> {
        let record = Record::new(name, mode, of(Commander::Conductor));
        record.finish(record.outcome_of(outcome, Secrets::Masked));
        Arc::new(record)
    }

    fn result(view: &CommandView) -> Value {
        let State::Succeeded(value) = &view.state else {
            panic!("{view:?}");
        };
        Value::clone(value)
    }

    #[test]
    fn a_string_is_wrapped_as_its_kind_of_command_does() {
        let text = || Ok(json!("done"));
        assert_eq!(
            result(&finished("sync", Mode::Sync, text()).view()),
            json!({"result": "done"})
        );
        assert_eq!(
            result(&finished("install", Mode::Async, text()).view()),
            json!({"result": "install: done"})
        );
    }

    #[test]
    fn what_is_no_string_stays_as_it_is() {
        for value in [json!(null), json!([1]), json!({"a": 1})] {
            let record = finished("x", Mode::Async, Ok(value.clone()));
            assert_eq!(result(&record.view()), value);
        }
    }

    #[test]
    fn secrets_of_a_result_are_masked_and_kept_only_when_told_and_only_where_there_are_some() {
        let step =
            |secret: &str| json!({"clean_step": {"step": "x", "args": {"password": secret}}});
        for (given, secrets, shown, unmasked) in [
            (step("hush"), Secrets::Masked, step(MASK), None),
            (step("hush"), Secrets::Kept, step(MASK), Some(step("hush"))),
            (step(MASK), Secrets::Kept, step(MASK), None),
            (step("hush"), Secrets::NotThere, step("hush"), None),
        ] {
            let record = Record::new("x", Mode::Async, Job::default());
            record.finish(record.outcome_of(Ok(given), secrets));
            let view = record.view();
            assert_eq!(result(&view), shown, "{secrets:?}");
            assert_eq!(view.unmasked.as_deref(), unmasked.as_ref(), "{secrets:?}");
            let Some(Ok(kept)) = record.saved().outcome else {
                panic!("it has ended");
            };
            assert_eq!(*kept, shown, "what outlives the agent has no secrets");
        }
    }

    #[test]
    fn kept_secrets_are_forgotten_and_nothing_else_of_the_list_changes() {
        let mut ledger = CommandHistory::default();
        for result in [json!({"password": "hush"}), json!({"a": 1})] {
            let record = Record::new("x", Mode::Async, Job::default());
            record.finish(record.outcome_of(Ok(result), Secrets::Kept));
            ledger.push(Arc::new(record));
        }
        ledger.push(Arc::new(Record::new("y", Mode::Async, Job::default())));
        let mut expected = ledger.views();
        assert_eq!(
            expected[0].unmasked.take().as_deref(),
            Some(&json!({"password": "hush"}))
        );
        ledger.forget_secrets();
        assert_eq!(ledger.views(), expected);
    }

    #[test]
    fn a_version_mismatch_has_a_status_of_its_own() {
        let status = |class| {
            finished("x", Mode::Async, Err(AgentError::new(class, "y")))
                .view()
                .status()
                .as_str()
        };
        assert_eq!(
            status(ErrorClass::VersionMismatch),
            "CLEAN_VERSION_MISMATCH"
        );
        assert_eq!(status(ErrorClass::CleaningError), "FAILED");
    }

    #[test]
    fn a_large_result_is_kept_until_the_next_command() {
        let mut ledger = CommandHistory::default();
        let archive = json!({ "system_logs": "x".repeat(LARGE_RESULT) });
        ledger.push(finished("logs", Mode::Sync, Ok(archive.clone())));
        assert_eq!(result(&ledger.views()[0]), archive);
        ledger.push(finished("sync", Mode::Sync, Ok(json!(null))));
        let views = ledger.views();
        assert_eq!(
            result(&views[0]),
            json!({"omitted": "16402 bytes, kept until the next command"})
        );
        assert_eq!(ledger.by_id(&views[0].id).unwrap().view(), views[0]);
    }

    #[test]
    fn a_users_result_of_many_small_values_is_large() {
        let mut ledger = CommandHistory::default();
        let many: Vec<_> = (0..2290).map(|_| json!({"": 0})).collect();
        let before: usize = many.iter().map(held_by).sum();
        assert!(before > 1024 * 1024, "{before}");
        for commander in [Commander::Conductor, Commander::default()] {
            for _ in 0..2 {
                let record = Record::new("echo", Mode::Sync, of(commander));
                record.finish(record.outcome_of(Ok(json!({"y": many})), Secrets::Masked));
                ledger.push(Arc::new(record));
            }
        }
        let views = ledger.views();
        // Ironic's results stay, because their JSON is small.
        let whole = json!({"y": many});
        let omitted = json!({"omitted": "16037 bytes, kept until the next command"});
        let results: Vec<_> = views.iter().map(result).collect();
        assert_eq!(results, [whole.clone(), whole.clone(), omitted, whole]);
    }

    #[test]
    fn the_list_is_bounded_and_never_looks_freshly_booted_again() {
        let mut ledger = CommandHistory::default();
        ledger.push(finished("step", Mode::Async, Ok(json!(null))));
        for _ in 0..MAX_RECORDS * 2 {
            ledger.push(finished("get_clean_steps", Mode::Sync, Ok(json!(null))));
        }
        ledger.push(finished("newest", Mode::Sync, Ok(json!(null))));
        let views = ledger.views();
        assert_eq!(
            (views.len(), views[0].name, views[MAX_RECORDS - 1].name),
            (MAX_RECORDS, "step", "newest")
        );
    }

    #[test]
    fn a_record_that_an_agent_before_this_one_left_is_still_whose_it_was() {
        let records = [Commander::Conductor, Commander::default()]
            .map(|commander| Record::new("x", Mode::Async, of(commander)));
        let mut ledger = CommandHistory::default();
        for record in &records {
            ledger.push(Arc::new(Record::resumed("x", record.saved())));
        }
        assert_eq!(ledger.views().len(), 2);
        // The other one was running, and has failed.
        assert_eq!(ledger.conductors_views(), ledger.views()[..1]);
    }

    #[test]
    fn a_large_secret_that_is_kept_goes_with_its_result() {
        let record = Record::new("x", Mode::Sync, of(Commander::Conductor));
        let result = json!({"password": "x".repeat(LARGE_RESULT)});
        record.finish(record.outcome_of(Ok(result), Secrets::Kept));
        let mut ledger = CommandHistory::default();
        ledger.push(Arc::new(record));
        let whole = |ledger: &CommandHistory| ledger.views()[0].unmasked.is_some();
        assert!(whole(&ledger));
        ledger.push(finished("y", Mode::Sync, Ok(Value::Null)));
        assert!(!whole(&ledger));
    }

    #[test]
    fn long_details_lose_their_end() {
        let details = "ü".repeat(MAX_DETAILS_LEN);
        let error = AgentError::new(ErrorClass::CleaningError, details);
        let State::Failed(error) = finished("x", Mode::Sync, Err(error)).view().state else {
            panic!();
        };
        assert_eq!(error.details.len(), MAX_DETAILS_LEN + '…'.len_utf8());
    }

    #[test]
    fn debug_does_not_show_a_result() {
        let view = finished("x", Mode::Sync, Ok(json!("hush"))).view();
        assert!(!format!("{view:?}").contains("hush"));
    }
}
