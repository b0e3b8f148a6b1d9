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
pub(super) enum Life {
    /// Commands can be answered, but there is no Ironic to tell it.
    Alone,
    /// What the operator wants is known; nobody was talked to yet.
    Configured,
    /// Both conversations are being ended.
    Leaving(ShutdownRequest),
    /// Nothing is left but the way out.
    Over(Exit),
    /// Ironic knows this node.
    Registered(Uuid),
    /// Commands are answered, and Ironic hears the heart beat.
    Serving,
    /// It lives, but nobody hears of it. Leaving would only make process 1 start it anew.
    Silent(Silence),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Ironic told which node this is, and there is a token.
    Found(Uuid),
    /// There is no Ironic to ask.
    NobodyToAsk,
    /// The API is open, the heart beats.
    Opened,
    /// There is a reason to be silent.
    Silenced(Silence),
    /// Both conversations have ended.
    Stopped,
    /// A signal or a command, be it one to an agent before this one, wants the end.
    ShutdownRequested(ShutdownRequest),
}

/// Why the agent is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
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
pub struct Lost {
    life: Life,
    event: Event,
}

impl Life {
    /// The state that follows.
    pub(super) fn after(self, event: Event) -> Result<Self, Lost> {
        match (self, event) {
            (Self::Configured, Event::Found(node)) => Ok(Self::Registered(node)),
            (Self::Configured, Event::NobodyToAsk) => Ok(Self::Alone),
            (Self::Configured, Event::Silenced(why)) => Ok(Self::Silent(why)),
            (Self::Alone | Self::Registered(_), Event::Opened) => Ok(Self::Serving),
            // A signal before it serves: there is nothing to be stopped.
            (
                Self::Alone | Self::Configured | Self::Registered(_) | Self::Silent(_),
                Event::ShutdownRequested(ShutdownRequest::Signal),
            ) => Ok(Self::Over(Exit::Process)),
            // A command before it serves: an agent before it left a mark.
            (Self::Configured | Self::Serving, Event::ShutdownRequested(request)) => {
                Ok(Self::Leaving(request))
            }
            (Self::Leaving(request), Event::Stopped) => Ok(match request.exit() {
                Some(exit) => Self::Over(exit),
                None => Self::Silent(Silence::LockedDown),
            }),
            (life, event) => Err(Lost { life, event }),
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
    fn lived(events: &[Event]) -> Result<Life, Lost> {
        events
            .iter()
            .try_fold(Life::Configured, |life, event| life.after(*event))
    }

    #[test]
    fn an_agent_is_found_before_it_serves_and_serves_before_it_leaves() {
        let events = [Event::Found(NODE), Event::Opened, SIGNAL];
        assert_eq!(lived(&events[..1]), Ok(Life::Registered(NODE)));
        assert_eq!(lived(&events[..2]), Ok(Life::Serving));
        assert_eq!(lived(&events), Ok(Life::Leaving(ShutdownRequest::Signal)));
    }

    #[test]
    fn an_agent_without_ironic_serves_all_the_same() {
        assert_eq!(
            lived(&[Event::NobodyToAsk, Event::Opened]),
            Ok(Life::Serving)
        );
    }

    #[test]
    fn how_the_agent_ends_is_what_was_wished() {
        let after = |wished| {
            lived(&[
                Event::NobodyToAsk,
                Event::Opened,
                Event::ShutdownRequested(wished),
                Event::Stopped,
            ])
        };
        for action in [PowerAction::PowerOff, PowerAction::Reboot] {
            let over = Ok(Life::Over(Exit::Machine(action)));
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
            Ok(Life::Over(Exit::Process))
        );
        assert_eq!(
            after(ShutdownRequest::Lockdown),
            Ok(Life::Silent(Silence::LockedDown))
        );
    }

    #[test]
    fn a_silent_agent_waits_for_a_signal_and_for_nothing_else() {
        let silent = Life::Silent(Silence::NoToken);
        assert_eq!(
            lived(&[Event::Silenced(Silence::NoToken)]).as_ref(),
            Ok(&silent)
        );
        assert_eq!(silent.after(SIGNAL), Ok(Life::Over(Exit::Process)));
        for event in [Event::Found(NODE), Event::Opened, Event::NobodyToAsk] {
            assert!(silent.after(event).is_err());
        }
    }

    #[test]
    fn a_signal_ends_every_state_and_an_agent_that_serves_stops_first() {
        for life in [Life::Alone, Life::Configured, Life::Registered(NODE)] {
            assert_eq!(life.after(SIGNAL), Ok(Life::Over(Exit::Process)));
        }
        let leaving = Life::Serving.after(SIGNAL).unwrap();
        assert_eq!(leaving.after(Event::Stopped), Ok(Life::Over(Exit::Process)));
    }

    #[test]
    fn nothing_follows_the_end_and_nothing_is_left_out() {
        let over = Life::Over(Exit::Process);
        assert_eq!(
            over.after(SIGNAL).unwrap_err().to_string(),
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
