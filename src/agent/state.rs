//! The life of the agent as a table: which states there are, and what leads from one to the next.
//!
//! ```text
//! Configured ─┬─► Registered ─┬─► Serving ─► Leaving ─┬─► Over
//!             ├─► Alone ──────┘                       │    ▲
//!             └─► Silent ◄────────── locked down ─────┘    │
//!                    └──────────────── a signal ───────────┘
//! ```
//!
//! An earlier agent's mark of a lockdown or an end leads from Configured to Leaving.
//!
//! What is done in a state is not known here, see [`super::Agent::live`].

use crate::machine::shutdown::{Exit, ShutdownRequest};
use uuid::Uuid;

/// Where the agent stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Commands can be answered, but there is no Ironic to tell it.
    NoConductor,
    /// What the operator wants is known; nobody was talked to yet.
    Configured,
    /// Both conversations are being ended.
    ShuttingDown(ShutdownRequest),
    /// Nothing is left but the way out.
    Exited(Exit),
    /// Ironic knows this node.
    Registered(Uuid),
    /// Commands are answered, and Ironic hears the heart beat.
    Serving,
    /// It lives, but nobody hears of it. Leaving would only make process 1 start it anew.
    Idle(IdleReason),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Ironic told which node this is, and there is a token.
    Found(Uuid),
    /// There is no Ironic to ask.
    ConductorMissing,
    /// The API is open, the heart beats.
    Opened,
    /// There is a reason to be silent.
    Idled(IdleReason),
    /// Both conversations have ended.
    Stopped,
    /// A signal or a command, be it one to an agent before this one, wants the end.
    ShutdownRequested(ShutdownRequest),
}

/// Why the agent is silent.
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
        let after = |wished| {
            lived(&[
                Event::ConductorMissing,
                Event::Opened,
                Event::ShutdownRequested(wished),
                Event::Stopped,
            ])
        };
        for action in [PowerAction::PowerOff, PowerAction::Reboot] {
            let over = Ok(State::Exited(Exit::Machine(action)));
            let wished = ShutdownRequest::Power(action);
            assert_eq!(after(wished), over);
            // What an agent before this one was told, this one does without having served.
            assert_eq!(
                lived(&[Event::ShutdownRequested(wished), Event::Stopped]),
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
            "the agent's life has no way on from Over(Process) by ShutdownRequested(Signal)"
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
