//! Runs commands, one at a time, and records them.
//!
//! The order of the checks and the records are those of IPA (`extensions/base.py`,
//! `execute_command`), because the conductor's decisions depend on them. The work of a command runs
//! on its own thread. It continues, and is recorded, after the client has disconnected.

use super::journal::{Journal, SavedRecord};
use super::record::{CommandHistory, CommandView, Outcome, Record, Secrets};
use super::spec::{Command, Commander, Job, Mode, Params};
use crate::error::{AgentError, ErrorClass, shortened};
use crate::progress::Cancel;
use serde_json::Value;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch};
use tokio::task::spawn_blocking;

/// Dispatcher of commands, with their records; clones share them.
#[derive(Clone)]
pub struct Dispatcher(Arc<Shared>);

struct Shared {
    commands: Vec<Command>,
    /// Lock to accept a command, held until the end of a synchronous one.
    turn: Arc<AsyncMutex<()>>,
    work: Mutex<Work>,
    completions: watch::Sender<u64>,
    /// Whether secrets in results are stored beside the masked results.
    keep_secrets: AtomicBool,
    /// Saves the records for the next agent.
    journal: Option<Box<dyn Journal>>,
}

#[derive(Default)]
struct Work {
    ledger: CommandHistory,
    /// Cancels the newest command.
    newest: Option<Cancel>,
    /// The agent is shutting down: no further command may start.
    ending: bool,
}

impl Dispatcher {
    /// Creates a dispatcher of these commands, with an empty history and without a journal.
    #[must_use]
    pub fn new(commands: Vec<Command>) -> Self {
        Self::with(commands, CommandHistory::default(), None)
    }

    /// Creates a dispatcher of these commands, with the history of a previous agent. A command that
    /// was running when that agent exited has failed, with an error that gives the reason.
    #[must_use]
    pub fn resumed(
        commands: Vec<Command>,
        left: Vec<SavedRecord>,
        journal: Box<dyn Journal>,
    ) -> Self {
        let mut ledger = CommandHistory::default();
        for kept in left {
            let Some(command) = commands.iter().find(|command| command.name == kept.name) else {
                tracing::warn!(
                    command = kept.name,
                    "An agent before this one ran a command that is not known: forgotten"
                );
                continue;
            };
            if kept.outcome.is_none() {
                let (command, id) = (command.name, &kept.id);
                tracing::error!(
                    command,
                    id,
                    "A command ran when the agent before this one ended: it has failed"
                );
            }
            ledger.push(Arc::new(Record::resumed(command.name, kept)));
        }
        Self::with(commands, ledger, Some(journal))
    }

    fn with(
        commands: Vec<Command>,
        ledger: CommandHistory,
        journal: Option<Box<dyn Journal>>,
    ) -> Self {
        Self(Arc::new(Shared {
            commands,
            turn: Arc::default(),
            work: Mutex::new(Work {
                ledger,
                ..Work::default()
            }),
            completions: watch::Sender::new(0),
            keep_secrets: AtomicBool::new(false),
            journal,
        }))
    }

    /// Runs `<extension>.<command>`. It always waits for a synchronous command, and for an
    /// asynchronous one if `wait`.
    ///
    /// An accepted command is in the list, and its record is returned even if it failed.
    ///
    /// # Errors
    /// The command was refused: nothing is recorded.
    pub async fn run(
        &self,
        name: &str,
        params: Params,
        wait: bool,
        commander: Commander,
    ) -> Result<CommandView, AgentError> {
        self.run_in(self.turn().await, name, params, wait, commander)
            .await
    }

    /// Waits for the turn to run a command, which one caller holds at a time.
    pub async fn turn(&self) -> Turn {
        Turn(Arc::clone(&self.0.turn).lock_owned().await)
    }

    /// Runs a command like [`Self::run`], for a caller that holds the turn.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_in(
        &self,
        Turn(turn): Turn,
        name: &str,
        params: Params,
        wait: bool,
        commander: Commander,
    ) -> Result<CommandView, AgentError> {
        let accepted = self.accept(name, &params, commander);
        let (command, job) = accepted.inspect_err(|error| log_refusal(name, commander, error))?;
        match command.mode {
            Mode::Sync => self.run_sync(command, params, job, turn).await,
            Mode::Async => {
                let record = self.start(command, params, job);
                drop(turn);
                if wait {
                    record.finished().await;
                }
                Ok(record.view())
            }
        }
    }

    /// Returns all records in the order of the commands.
    #[must_use]
    pub fn list(&self) -> Vec<CommandView> {
        self.0.work().ledger.views()
    }

    /// Returns the records for the conductor: without finished commands of others, but with those
    /// they are running.
    #[must_use]
    pub fn conductors_list(&self) -> Vec<CommandView> {
        self.0.work().ledger.conductors_views()
    }

    /// Returns one record in its current state.
    ///
    /// # Errors
    /// There is no such record.
    pub fn command(&self, id: &str) -> Result<CommandView, AgentError> {
        self.0.record(id).map(|record| record.view())
    }

    /// Finds a record, and waits for its end if `wait`.
    ///
    /// # Errors
    /// There is no such record.
    pub async fn ended(&self, id: &str, wait: bool) -> Result<(), AgentError> {
        let record = self.0.record(id)?;
        if wait {
            record.finished().await;
        }
        Ok(())
    }

    /// Returns a counter of asynchronous commands that ended: each of them triggers a heartbeat.
    #[must_use]
    pub fn completions(&self) -> watch::Receiver<u64> {
        self.0.completions.subscribe()
    }

    /// Sets whether the secrets of further results are stored in memory, beside the masked result,
    /// for callers that may see them. The default is not to store them, and they never survive this
    /// agent. Stored secrets are removed when it is switched off.
    pub fn retain_secrets(&self, keep: bool) {
        self.0.keep_secrets.store(keep, Ordering::Relaxed);
        self.0.forget_secrets_unless_kept();
    }

    /// Shuts down: refuses new commands, cancels the running one, and waits until nothing runs.
    pub async fn shut_down(&self) {
        {
            let mut work = self.0.work();
            work.ending = true;
            if let Some(last) = work.ledger.last()
                && last.is_running()
            {
                tracing::warn!(
                    command = last.name,
                    id = last.id,
                    "stopping a running command: a disk that it was writing does not boot"
                );
            }
            if let Some(newest) = &work.newest {
                newest.cancel();
            }
        }
        let _turn = self.0.turn.lock().await;
        let last = self.0.work().ledger.last().cloned();
        if let Some(last) = last {
            last.finished().await;
        }
    }

    /// Performs the checks, in IPA's order.
    fn accept(
        &self,
        name: &str,
        params: &Params,
        commander: Commander,
    ) -> Result<(Command, Job), AgentError> {
        let (extension, name) = name.split_once('.').ok_or_else(|| {
            AgentError::new(
                ErrorClass::InvalidCommandError,
                "Command name must be of the form <extension>.<name>",
            )
        })?;
        self.0.ensure_idle()?;
        let command = self.find(extension, name)?;
        let valid = catch_unwind(AssertUnwindSafe(|| command.work.validate(params)));
        valid.unwrap_or_else(|_| Err(panicked(&command)))?;
        let job = self.0.claim(commander)?;
        Ok((command, job))
    }

    fn find(&self, extension: &str, name: &str) -> Result<Command, AgentError> {
        let mut of_extension = self
            .0
            .commands
            .iter()
            .filter(|command| command.extension == extension)
            .peekable();
        if of_extension.peek().is_none() {
            return Err(AgentError::new(
                ErrorClass::RequestedObjectNotFoundError,
                format!("Extension with id {extension} not found."),
            ));
        }
        let found = of_extension.find(|command| command.name == name);
        found.cloned().ok_or_else(|| {
            AgentError::new(
                ErrorClass::InvalidCommandError,
                format!("Unknown command: {name}"),
            )
        })
    }

    /// Runs a synchronous command. It is listed when it has ended, as in IPA, and holds the turn
    /// until then.
    async fn run_sync(
        &self,
        command: Command,
        params: Params,
        job: Job,
        turn: OwnedMutexGuard<()>,
    ) -> Result<CommandView, AgentError> {
        let shared = Arc::clone(&self.0);
        let worker = spawn_blocking(move || {
            let record = Arc::new(Record::new(command.name, command.mode, job.clone()));
            let outcome = shared.work_on(&command, params, &job, &record);
            shared.end(&record, outcome);
            let view = record.view();
            shared.work().ledger.push(record);
            shared.forget_secrets_unless_kept();
            drop(turn);
            view
        });
        worker
            .await
            .map_err(|error| AgentError::caused(ErrorClass::CommandExecutionError, &error))
    }

    /// Starts an asynchronous command. It is listed before it starts.
    fn start(&self, command: Command, params: Params, job: Job) -> Arc<Record> {
        let record = Arc::new(Record::new(command.name, command.mode, job.clone()));
        self.0.work().ledger.push(Arc::clone(&record));
        self.0.keep(&record.saved());
        let (shared, started) = (Arc::clone(&self.0), Arc::clone(&record));
        spawn_blocking(move || {
            let outcome = shared.work_on(&command, params, &job, &started);
            shared.end(&started, outcome);
            shared.forget_secrets_unless_kept();
            shared.completions.send_modify(|count| *count += 1);
        });
        record
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dispatcher").field(&self.0.commands).finish()
    }
}

impl Shared {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, id: &str) -> Result<Arc<Record>, AgentError> {
        self.work().ledger.by_id(id).ok_or_else(|| {
            AgentError::new(
                ErrorClass::RequestedObjectNotFoundError,
                format!("Command Result with id {id} not found."),
            )
        })
    }

    /// Runs the command's work and returns the outcome for its record.
    fn work_on(&self, command: &Command, params: Params, job: &Job, record: &Record) -> Outcome {
        let (id, name) = (&record.id, command.name);
        let commander = job.commander;
        if commander.is_logged() {
            tracing::info!(command = name, id, "Started a command");
        }
        let begin = Instant::now();
        let outcome: Result<Value, AgentError> =
            catch_unwind(AssertUnwindSafe(|| command.work.run(params, job)))
                .unwrap_or_else(|_| Err(panicked(command)));
        let ms = begin.elapsed().as_millis();
        match &outcome {
            _ if !commander.is_logged() => {}
            Ok(_) => tracing::info!(command = name, id, ms, "Finished a command"),
            Err(error) => {
                let reason = commander.reason(error);
                tracing::error!(command = name, id, ms, %reason, "A command failed");
            }
        }
        record.outcome_of(outcome, self.secrets_of(command))
    }

    fn secrets_of(&self, command: &Command) -> Secrets {
        if command.is_read_by_ironic {
            Secrets::NotThere
        } else if self.keep_secrets.load(Ordering::Relaxed) {
            Secrets::Kept
        } else {
            Secrets::Masked
        }
    }

    /// Removes stored secrets if no caller may see them: a command may have ended just when that
    /// changed.
    fn forget_secrets_unless_kept(&self) {
        let mut work = self.work();
        if !self.keep_secrets.load(Ordering::Relaxed) {
            work.ledger.forget_secrets();
        }
    }

    /// Ends a record. It is saved before it becomes visible: the next agent must report what Ironic
    /// has already read.
    fn end(&self, record: &Record, outcome: Outcome) {
        self.keep(&record.saved_with(Some(&outcome)));
        record.finish(outcome);
    }

    fn keep(&self, record: &SavedRecord) {
        if let Some(journal) = &self.journal {
            journal.keep(record, &|| self.work().ledger.saved());
        }
    }

    /// Checks that no command runs. Only the last one can: none before it can still run.
    fn ensure_idle(&self) -> Result<(), AgentError> {
        match self.work().ledger.last() {
            Some(last) if last.is_running() => Err(AgentError::new(
                ErrorClass::AgentIsBusy,
                format!("executing command {}", last.name),
            )),
            _ => Ok(()),
        }
    }

    /// Claims the agent for a command. From here on there is something to cancel.
    fn claim(&self, commander: Commander) -> Result<Job, AgentError> {
        let mut work = self.work();
        if work.ending {
            return Err(AgentError::new(
                ErrorClass::AgentIsBusy,
                "the agent is ending",
            ));
        }
        let job = Job {
            commander,
            ..Job::default()
        };
        work.newest = Some(job.cancel.clone());
        Ok(job)
    }
}

fn log_refusal(name: &str, commander: Commander, error: &AgentError) {
    if commander.is_logged() {
        let (command, reason) = (
            shortened(name.to_owned(), MAX_NAME_LEN),
            commander.reason(error),
        );
        tracing::warn!(?command, %reason, "Refused a command");
    }
}

/// Returns the error of a panic. Its text is not shown, because it may contain anything; its
/// location is already logged.
fn panicked(command: &Command) -> AgentError {
    tracing::error!(command = command.name, "A command panicked");
    AgentError::new(
        ErrorClass::CommandExecutionError,
        format!(
            "{} ended by a defect in the agent; its log says where",
            command.name
        ),
    )
}

/// Turn to run a command.
#[derive(Debug)]
#[must_use]
pub struct Turn(OwnedMutexGuard<()>);

/// Maximum length of a command name in the log, in bytes; every valid name is shorter.
const MAX_NAME_LEN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::CommandSpec;
    use serde_json::json;
    use std::sync::OnceLock;

    /// Journal that switches off the storing of secrets exactly when a command ends.
    #[derive(Clone, Default)]
    struct Hiding(Arc<OnceLock<Dispatcher>>);

    impl Journal for Hiding {
        fn keep(&self, record: &SavedRecord, _: &dyn Fn() -> Vec<SavedRecord>) {
            if record.outcome.is_some() {
                self.0.get().unwrap().retain_secrets(false);
            }
        }
    }

    const fn telling(name: &'static str, mode: Mode) -> CommandSpec<()> {
        CommandSpec {
            extension: "test",
            name,
            mode,
            is_read_by_ironic: false,
            validate: |(), _| Ok(()),
            run: |(), _, _| Ok(json!({"password": "hush"})),
        }
    }

    static COMMANDS: [CommandSpec<()>; 2] =
        [telling("sync", Mode::Sync), telling("async", Mode::Async)];

    #[tokio::test]
    async fn a_command_that_ends_while_secrets_are_hidden_keeps_none() {
        let hiding = Hiding::default();
        let commands = COMMANDS.iter().map(|spec| spec.bind(&Arc::new(())));
        let commands = commands.collect();
        let dispatcher = Dispatcher::resumed(commands, Vec::new(), Box::new(hiding.clone()));
        assert!(hiding.0.set(dispatcher.clone()).is_ok());
        let mut completions = dispatcher.completions();
        for name in ["test.sync", "test.async"] {
            dispatcher.retain_secrets(true);
            let commander = Commander::Conductor;
            let run = dispatcher.run(name, Params::new(), true, commander);
            let id = run.await.unwrap().id;
            if name == "test.async" {
                completions.changed().await.unwrap();
            }
            let view = {
                dispatcher.ended(&id, true).await.unwrap();
                dispatcher.command(&id).unwrap()
            };
            assert!(view.unmasked.is_none(), "{name}");
        }
    }
}
