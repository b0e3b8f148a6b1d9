//! State machine of the agent: its states and the transitions between them.
//!
//! ```text
//! Configured ─┬─► Registered ──┬─► Serving ─► ShuttingDown ─┬─► Exited
//!             ├─► NoConductor ─┘                            │    ▲
//!             └─► Idle ◄──────────── locked down ───────────┘    │
//!                    └──────────────── a signal ─────────────────┘
//! ```
//!
//! A mark of a lockdown or a shutdown, left by an earlier agent, leads from Configured to
//! ShuttingDown.
//!
//! The work of each state is in [`super::Agent::live`].

use crate::machine::shutdown::{Exit, ShutdownRequest};
use uuid::Uuid;

/// State of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Serves commands without a conductor: none is configured.
    NoConductor,
    /// Has read its configuration, and sent no request yet.
    Configured,
    /// Closes the API and stops the heartbeats.
    ShuttingDown(ShutdownRequest),
    /// Terminal state.
    Exited(Exit),
    /// Has looked its node up.
    Registered(Uuid),
    /// Serves commands and sends heartbeats.
    Serving,
    /// Runs without API and heartbeats. If the agent exited, PID 1 would only restart it.
    Idle(IdleReason),
}

/// Event that leads to another state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The lookup found the node, and there is a token.
    Found(Uuid),
    /// No conductor is configured.
    ConductorMissing,
    /// The API is open, and heartbeats are sent.
    Opened,
    /// There is a reason to stay idle.
    Idled(IdleReason),
    /// The API is closed, and heartbeats have stopped.
    Stopped,
    /// A signal or a command, possibly one to an earlier agent, requests the shutdown.
    ShutdownRequested(ShutdownRequest),
}

/// Reason why the agent is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdleReason {
    /// Ironic locked the machine down.
    LockedDown,
    /// There is no token, so no command could be accepted.
    NoToken,
    /// The machine was handed to its owner.
    Rescued,
}

/// An event that the state does not expect: a fault of this program.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the agent's life has no way on from {life:?} by {event:?}")]
pub struct InvalidTransition {
    life: State,
    event: Event,
}

impl State {
    /// The state that follows.
    pub(super) fn transition(self, event: Event) -> Result<Self, InvalidTransition> {
        match (self, event) {
            (Self::Configured, Event::Found(node)) => Ok(Self::Registered(node)),
            (Self::Configured, Event::ConductorMissing) => Ok(Self::NoConductor),
            (Self::Configured, Event::Idled(why)) => Ok(Self::Idle(why)),
            (Self::NoConductor | Self::Registered(_), Event::Opened) => Ok(Self::Serving),
            // A signal before it serves: there is nothing to be stopped.
            (
                Self::NoConductor | Self::Configured | Self::Registered(_) | Self::Idle(_),
                Event::ShutdownRequested(ShutdownRequest::Signal),
            ) => Ok(Self::Exited(Exit::Process)),
            // A command before it serves: an agent before it left a mark.
            (Self::Configured | Self::Serving, Event::ShutdownRequested(request)) => {
                Ok(Self::ShuttingDown(request))
            }
            (Self::ShuttingDown(request), Event::Stopped) => Ok(match request.exit() {
                Some(exit) => Self::Exited(exit),
                None => Self::Idle(IdleReason::LockedDown),
            }),
            (life, event) => Err(InvalidTransition { life, event }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::power::PowerAction;

    const SIGNAL: Event = Event::ShutdownRequested(ShutdownRequest::Signal);
    const NODE: Uuid = Uuid::from_u128(7);

    /// Where the events lead from the beginning; the last state, or what it is lost at.
    fn lived(events: &[Event]) -> Result<State, InvalidTransition> {
        events
            .iter()
            .try_fold(State::Configured, |life, event| life.transition(*event))
    }

    #[test]
    fn an_agent_is_found_before_it_serves_and_serves_before_it_leaves() {
        let events = [Event::Found(NODE), Event::Opened, SIGNAL];
        assert_eq!(lived(&events[..1]), Ok(State::Registered(NODE)));
        assert_eq!(lived(&events[..2]), Ok(State::Serving));
        assert_eq!(
            lived(&events),
            Ok(State::ShuttingDown(ShutdownRequest::Signal))
        );
    }

    #[test]
    fn an_agent_without_ironic_serves_all_the_same() {
        assert_eq!(
            lived(&[Event::ConductorMissing, Event::Opened]),
            Ok(State::Serving)
        );
    }

    #[test]
    fn how_the_agent_ends_is_what_was_wished() {
        let after = |request| {
            lived(&[
                Event::ConductorMissing,
                Event::Opened,
                Event::ShutdownRequested(request),
                Event::Stopped,
            ])
        };
        for action in [PowerAction::PowerOff, PowerAction::Reboot] {
            let over = Ok(State::Exited(Exit::Machine(action)));
            let request = ShutdownRequest::Power(action);
            assert_eq!(after(request), over);
            // What an agent before this one was told, this one does without having served.
            assert_eq!(
                lived(&[Event::ShutdownRequested(request), Event::Stopped]),
                over
            );
        }
        assert_eq!(
            after(ShutdownRequest::Rescue),
            Ok(State::Exited(Exit::Process))
        );
        assert_eq!(
            after(ShutdownRequest::Lockdown),
            Ok(State::Idle(IdleReason::LockedDown))
        );
    }

    #[test]
    fn a_silent_agent_waits_for_a_signal_and_for_nothing_else() {
        let silent = State::Idle(IdleReason::NoToken);
        assert_eq!(
            lived(&[Event::Idled(IdleReason::NoToken)]).as_ref(),
            Ok(&silent)
        );
        assert_eq!(silent.transition(SIGNAL), Ok(State::Exited(Exit::Process)));
        for event in [Event::Found(NODE), Event::Opened, Event::ConductorMissing] {
            assert!(silent.transition(event).is_err());
        }
    }

    #[test]
    fn a_signal_ends_every_state_and_an_agent_that_serves_stops_first() {
        for life in [
            State::NoConductor,
            State::Configured,
            State::Registered(NODE),
        ] {
            assert_eq!(life.transition(SIGNAL), Ok(State::Exited(Exit::Process)));
        }
        let leaving = State::Serving.transition(SIGNAL).unwrap();
        assert_eq!(
            leaving.transition(Event::Stopped),
            Ok(State::Exited(Exit::Process))
        );
    }

    #[test]
    fn nothing_follows_the_end_and_nothing_is_left_out() {
        let over = State::Exited(Exit::Process);
        assert_eq!(
            over.transition(SIGNAL).unwrap_err().to_string(),
            "the agent's life has no way on from Exited(Process) by ShutdownRequested(Signal)"
        );
        assert!(lived(&[Event::Opened]).is_err());
        assert!(
            lived(&[
                Event::Found(NODE),
                Event::ShutdownRequested(ShutdownRequest::Lockdown)
            ])
            .is_err()
        );
        assert!(lived(&[Event::Stopped]).is_err());
    }
}
