//! A DHCPv4 client (RFC 2131) as a pure state machine: messages and the time in, messages and orders out.
//!
//! Knows no socket and no interface; [`super::worker4`] carries out what it says. Identifies itself by the MAC alone, as the
//! firmware did before it. Offers are not probed by ARP: the server's word is good enough for a ramdisk.

use super::driver::DhcpClient;
use super::lease4::{FOREVER, Lease, Unusable};
use crate::formats::dhcp4::{Message, MessageType, Operation, Options, code};
use std::hash::{BuildHasher, RandomState};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Use this lease from now on, instead of any earlier one.
    Configure(Lease),
    /// Log why something that a server sent is of no use.
    Log(Refusal),
    /// Send a message: to everybody, or to the server that gave the lease.
    Send(Box<Message>, Option<Ipv4Addr>),
    /// Take the address away.
    Deconfigure,
}

/// Why there is no address yet although a server answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// DHCPNAK, with what the server says.
    #[error("the server refused the request, saying {0:?}")]
    Nak(String),
    /// BOOTP's, or the answer to something that was not asked.
    #[error(
        "an answer was passed over: it has no message type that answers a request for an address"
    )]
    NotAnAnswer,
    /// DHCPNAK, or an acknowledgement, of a server that was not asked.
    #[error("an answer of the server {0} was passed over: another one was asked")]
    Foreign(Ipv4Addr),
    /// An acknowledgement of another address than was offered.
    #[error("an acknowledgement was passed over: its address {0} is not the one that was offered")]
    NotOffered(Ipv4Addr),
    /// No answer to any request.
    #[error("the server {0} offered an address and then did not answer requests for it")]
    Unanswered(Ipv4Addr),
    /// An offer or an acknowledgement that gives no lease.
    #[error("an answer was passed over: {0}")]
    Unusable(Unusable),
}

/// The client of one interface.
#[derive(Debug)]
pub(super) struct Client {
    mac: [u8; 6],
    xid: u32,
    began: Instant,
    deadline: Instant,
    state: State,
    /// Servers that offered an address and did not give it: another one's offer is preferred.
    failed: Vec<Ipv4Addr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Bound(Lease, Instant),
    Rebinding(Lease, Instant),
    Renewing(Lease, Instant),
    Requesting { offer: Lease, tries: u32 },
    Selecting { tries: u32 },
}

impl Client {
    /// A client that has something to say at once; `xid` is a random number.
    pub(super) fn new(mac: [u8; 6], xid: u32, now: Instant) -> Self {
        Self {
            mac,
            xid,
            began: now,
            deadline: now,
            state: State::Selecting { tries: 0 },
            failed: Vec::new(),
        }
    }

    /// Whether it has no address to send from and to be answered at.
    pub(super) fn is_without_address(&self) -> bool {
        matches!(
            self.state,
            State::Selecting { .. } | State::Requesting { .. }
        )
    }

    /// Why an acknowledgement or a refusal does not count: it is not of the server whose offer was requested, or whose lease is
    /// being renewed (RFC 2131 section 4.3.2). Any server may extend a lease that is being rebound.
    fn refuse_foreign(&self, message: &Message) -> Option<Refusal> {
        let asked = match &self.state {
            State::Requesting { offer, .. } => offer.server,
            State::Renewing(lease, _) => lease.server,
            State::Selecting { .. } | State::Bound(..) | State::Rebinding(..) => return None,
        };
        let server = message.options.address(code::SERVER_IDENTIFIER);
        let server = server.ok().flatten().unwrap_or(Ipv4Addr::UNSPECIFIED);
        (server != asked).then_some(Refusal::Foreign(server))
    }

    /// Whether another address was offered than this lease is of.
    fn is_not_offered(&self, lease: &Lease) -> bool {
        matches!(&self.state, State::Requesting { offer, .. } if offer.address != lease.address)
    }

    fn note_failure(&mut self, server: Ipv4Addr) {
        if self.failed.len() < MAX_FAILED && !self.failed.contains(&server) {
            self.failed.push(server);
        }
    }

    /// A new exchange has a number that nobody can tell from those before, which were broadcast.
    fn draw_xid(&mut self) {
        let [a, b, c, d, ..] = RandomState::new().hash_one(self.xid).to_ne_bytes();
        self.xid = u32::from_ne_bytes([a, b, c, d]);
    }

    fn start_over(&mut self, now: Instant) {
        self.draw_xid();
        self.began = now;
        // Not at once: a server that says no to each request must not be flooded.
        self.state = State::Selecting { tries: 0 };
        self.deadline = now + pause(0);
    }

    fn discover(&self, now: Instant) -> Action {
        let mut message = self.message(MessageType::Discover, now);
        message.broadcast = true;
        Action::Send(Box::new(message), None)
    }

    fn request(&self, offer: &Lease, now: Instant) -> Action {
        let mut message = self.message(MessageType::Request, now);
        message.broadcast = true;
        let options = &mut message.options;
        options.insert(code::REQUESTED_ADDRESS, offer.address.octets());
        options.insert(code::SERVER_IDENTIFIER, offer.server.octets());
        Action::Send(Box::new(message), None)
    }

    fn extend(&self, lease: &Lease, server: Option<Ipv4Addr>, now: Instant) -> Action {
        let mut message = self.message(MessageType::Request, now);
        message.client_address = lease.address;
        Action::Send(Box::new(message), server)
    }

    fn message(&self, kind: MessageType, now: Instant) -> Message {
        let seconds = now.saturating_duration_since(self.began).as_secs();
        let mut options = Options::default();
        options.insert(code::MESSAGE_TYPE, [kind.to_byte()]);
        options.insert(code::MAX_MESSAGE_SIZE, MAX_MESSAGE_LEN.to_be_bytes());
        options.insert(code::PARAMETER_REQUEST_LIST, WANTED);
        Message {
            operation: Operation::Request,
            xid: self.xid,
            seconds: u16::try_from(seconds).unwrap_or(u16::MAX),
            broadcast: false,
            client_address: Ipv4Addr::UNSPECIFIED,
            your_address: Ipv4Addr::UNSPECIFIED,
            mac: self.mac,
            options,
        }
    }
}

impl DhcpClient for Client {
    type Action = Action;
    type Message = Message;

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn is_bound(&self) -> bool {
        matches!(self.state, State::Bound(..))
    }

    /// The deadline is reached.
    fn on_timeout(&mut self, now: Instant) -> Vec<Action> {
        match self.state.clone() {
            State::Selecting { tries } => {
                self.state = State::Selecting { tries: tries + 1 };
                self.deadline = now + pause(tries);
                vec![self.discover(now)]
            }
            State::Requesting { offer, tries } if tries >= MAX_REQUESTS => {
                self.note_failure(offer.server);
                self.start_over(now);
                vec![Action::Log(Refusal::Unanswered(offer.server))]
            }
            State::Requesting { offer, tries } => {
                self.deadline = now + pause(tries);
                let request = self.request(&offer, now);
                self.state = State::Requesting {
                    offer,
                    tries: tries + 1,
                };
                vec![request]
            }
            State::Bound(lease, since) => {
                self.draw_xid();
                self.state = State::Renewing(lease, since);
                self.on_timeout(now)
            }
            State::Renewing(lease, since) if now >= since + lease.rebind => {
                self.state = State::Rebinding(lease, since);
                self.on_timeout(now)
            }
            State::Renewing(lease, since) => {
                self.deadline = between(now, since + lease.rebind);
                vec![self.extend(&lease, Some(lease.server), now)]
            }
            State::Rebinding(lease, since) => {
                let end = since + lease.lifetime.unwrap_or(FOREVER);
                if now >= end {
                    self.start_over(now);
                    return vec![Action::Deconfigure];
                }
                self.deadline = between(now, end);
                vec![self.extend(&lease, None, now)]
            }
        }
    }

    /// A message came; those for others, or out of turn, change nothing.
    fn on_message(&mut self, message: &Message, now: Instant) -> Vec<Action> {
        let ours = message.operation == Operation::Reply
            && message.xid == self.xid
            && message.mac == self.mac;
        if !ours {
            return Vec::new();
        }
        let kind = message.options.message_type();
        if let Some(MessageType::Ack | MessageType::Nak) = kind
            && let Some(refused) = self.refuse_foreign(message)
        {
            return vec![Action::Log(refused)];
        }
        match (self.state.clone(), kind) {
            (State::Selecting { tries }, Some(MessageType::Offer)) => {
                match Lease::from_message(message) {
                    // Another server has until the next DISCOVER to offer something.
                    Ok(offer) if tries <= 1 && self.failed.contains(&offer.server) => Vec::new(),
                    Ok(offer) => {
                        self.state = State::Requesting { offer, tries: 0 };
                        self.on_timeout(now)
                    }
                    Err(reason) => vec![Action::Log(Refusal::Unusable(reason))],
                }
            }
            (
                State::Requesting { .. } | State::Renewing(..) | State::Rebinding(..),
                Some(MessageType::Ack),
            ) => match Lease::from_message(message) {
                Ok(lease) if self.is_not_offered(&lease) => {
                    vec![Action::Log(Refusal::NotOffered(lease.address))]
                }
                Ok(lease) => {
                    self.failed.clear();
                    self.deadline = now + lease.renew;
                    self.state = State::Bound(lease.clone(), now);
                    vec![Action::Configure(lease)]
                }
                Err(reason) => vec![Action::Log(Refusal::Unusable(reason))],
            },
            (State::Requesting { offer, .. }, Some(MessageType::Nak)) => {
                self.note_failure(offer.server);
                self.start_over(now);
                vec![nak(message)]
            }
            (State::Renewing(..) | State::Rebinding(..), Some(MessageType::Nak)) => {
                self.start_over(now);
                vec![nak(message), Action::Deconfigure]
            }
            // Further offers, when one is taken already, and repeated answers are nothing odd.
            (_, Some(MessageType::Offer | MessageType::Ack | MessageType::Nak)) => Vec::new(),
            (State::Bound(..), _) => Vec::new(),
            _ => vec![Action::Log(Refusal::NotAnAnswer)],
        }
    }
}

fn nak(message: &Message) -> Action {
    let text = message.options.text(code::MESSAGE).ok().flatten();
    Action::Log(Refusal::Nak(text.unwrap_or_default()))
}

/// Quicker at first than RFC 2131 section 4.1 (4 s): a switch port that has just woken swallows the first message.
fn pause(tries: u32) -> Duration {
    Duration::from_secs(1 << tries.min(4))
}

/// Halfway to `end`, but not sooner than a minute, nor after `end` (RFC 2131 section 4.4.5).
fn between(now: Instant, end: Instant) -> Instant {
    let left = end.saturating_duration_since(now);
    end.min(now + (left / 2).max(Duration::from_secs(60)))
}

const WANTED: [u8; 11] = [
    code::SUBNET_MASK,
    code::ROUTER,
    code::CLASSLESS_ROUTES,
    code::NAME_SERVERS,
    code::DOMAIN_NAME,
    code::DOMAIN_SEARCH,
    code::HOST_NAME,
    code::MTU,
    code::LEASE_TIME,
    code::RENEWAL_TIME,
    code::REBINDING_TIME,
];
const MAX_REQUESTS: u32 = 4;
const MAX_FAILED: usize = 8;
const MAX_MESSAGE_LEN: u16 = 1472;

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];
    const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 77);

    fn client(now: Instant) -> Client {
        Client::new(MAC, 7, now)
    }

    fn answer(client: &Client, kind: MessageType) -> Message {
        let mut options = Options::default();
        options.insert(code::MESSAGE_TYPE, [kind.to_byte()]);
        options.insert(code::SERVER_IDENTIFIER, SERVER.octets());
        options.insert(code::SUBNET_MASK, [255, 255, 255, 0]);
        options.insert(code::LEASE_TIME, 3600_u32.to_be_bytes());
        Message {
            operation: Operation::Reply,
            xid: client.xid,
            seconds: 0,
            broadcast: false,
            client_address: Ipv4Addr::UNSPECIFIED,
            your_address: ADDRESS,
            mac: MAC,
            options,
        }
    }

    /// The lease of the answer.
    fn lease(client: &Client) -> Lease {
        Lease::from_message(&answer(client, MessageType::Ack)).unwrap()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The kind, destination and own address of the messages sent.
    fn sent(actions: &[Action]) -> Vec<(MessageType, Option<Ipv4Addr>, Ipv4Addr)> {
        actions
            .iter()
            .filter_map(|action| match action {
                Action::Send(message, to) => {
                    let kind = message.options.message_type().unwrap();
                    Some((kind, *to, message.client_address))
                }
                _ => None,
            })
            .collect()
    }

    fn bound(now: Instant) -> Client {
        let mut client = client(now);
        client.on_timeout(now);
        client.on_message(&answer(&client, MessageType::Offer), now);
        let actions = client.on_message(&answer(&client, MessageType::Ack), now);
        assert!(matches!(actions.as_slice(), [Action::Configure(_)]));
        assert!(client.is_bound());
        client
    }

    /// Whoever hears the requests, which are broadcast, can answer them before the server does.
    #[test]
    fn a_stranger_neither_refuses_what_a_server_offered_nor_gives_another_address() {
        let now = Instant::now();
        let mut client = client(now);
        client.on_timeout(now);
        client.on_message(&answer(&client, MessageType::Offer), now);
        let stranger = Ipv4Addr::new(192, 0, 2, 66);
        let foreign = [Action::Log(Refusal::Foreign(stranger))];
        for kind in [MessageType::Nak, MessageType::Ack] {
            let mut forged = answer(&client, kind);
            let options = &mut forged.options;
            options.insert(code::SERVER_IDENTIFIER, stranger.octets());
            assert_eq!(client.on_message(&forged, now), foreign, "{kind:?}");
        }
        let mut another = answer(&client, MessageType::Ack);
        another.your_address = Ipv4Addr::new(198, 51, 100, 9);
        let refused = [Action::Log(Refusal::NotOffered(another.your_address))];
        assert_eq!(client.on_message(&another, now), refused);
        let lease = lease(&client);
        assert_eq!(
            client.on_message(&answer(&client, MessageType::Ack), now),
            [Action::Configure(lease)]
        );
        // The one who gave the lease is asked to extend it.
        client.on_timeout(now + seconds(1800));
        let mut forged = answer(&client, MessageType::Nak);
        let options = &mut forged.options;
        options.insert(code::SERVER_IDENTIFIER, stranger.octets());
        assert_eq!(client.on_message(&forged, now), foreign);
    }

    #[test]
    fn a_server_that_offers_and_does_not_give_leaves_others_their_turn() {
        let now = Instant::now();
        let mut client = client(now);
        client.on_timeout(now);
        client.on_message(&answer(&client, MessageType::Offer), now);
        client.on_message(&answer(&client, MessageType::Nak), now);
        client.on_timeout(now + seconds(1));
        let same = answer(&client, MessageType::Offer);
        assert_eq!(client.on_message(&same, now), []);
        let other = Ipv4Addr::new(192, 0, 2, 2);
        let mut offer = answer(&client, MessageType::Offer);
        let options = &mut offer.options;
        options.insert(code::SERVER_IDENTIFIER, other.octets());
        let mut with_other = client_like(&client);
        assert_eq!(sent(&with_other.on_message(&offer, now)), [REQUEST]);
        // Where it is the only one it is believed again.
        client.on_timeout(now + seconds(2));
        let same = answer(&client, MessageType::Offer);
        assert_eq!(sent(&client.on_message(&same, now)), [REQUEST]);
    }

    fn client_like(client: &Client) -> Client {
        Client {
            state: client.state.clone(),
            failed: client.failed.clone(),
            ..*client
        }
    }

    const DISCOVER: (MessageType, Option<Ipv4Addr>, Ipv4Addr) =
        (MessageType::Discover, None, Ipv4Addr::UNSPECIFIED);
    const REQUEST: (MessageType, Option<Ipv4Addr>, Ipv4Addr) =
        (MessageType::Request, None, Ipv4Addr::UNSPECIFIED);

    #[test]
    fn it_asks_everybody_less_and_less_often() {
        let start = Instant::now();
        let mut client = client(start);
        let mut now = start;
        let mut pauses = Vec::new();
        for _ in 0..6 {
            assert_eq!(sent(&client.on_timeout(now)), [DISCOVER]);
            pauses.push(client.deadline().duration_since(now).as_secs());
            now = client.deadline();
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 16]);
    }

    #[test]
    fn an_offer_is_requested_with_its_address_and_server() {
        let now = Instant::now();
        let mut client = client(now);
        client.on_timeout(now);
        let actions = client.on_message(&answer(&client, MessageType::Offer), now);
        assert_eq!(sent(&actions), [REQUEST]);
        let [Action::Send(request, None)] = actions.as_slice() else {
            panic!("{actions:?}")
        };
        let options = &request.options;
        assert_eq!(options.address(code::REQUESTED_ADDRESS), Ok(Some(ADDRESS)));
        assert_eq!(options.address(code::SERVER_IDENTIFIER), Ok(Some(SERVER)));
        assert!(request.broadcast && client.is_without_address());
    }

    #[test]
    fn requests_without_an_answer_lead_back_to_the_beginning() {
        let mut now = Instant::now();
        let mut client = client(now);
        client.on_timeout(now);
        client.on_message(&answer(&client, MessageType::Offer), now);
        for _ in 1..MAX_REQUESTS {
            now = client.deadline();
            assert_eq!(sent(&client.on_timeout(now)), [REQUEST]);
        }
        now = client.deadline();
        assert_eq!(
            client.on_timeout(now),
            [Action::Log(Refusal::Unanswered(SERVER))]
        );
        assert_eq!(client.state, State::Selecting { tries: 0 });
    }

    #[test]
    fn a_refused_request_starts_over_with_a_new_number() {
        let now = Instant::now();
        let mut client = client(now);
        client.on_timeout(now);
        client.on_message(&answer(&client, MessageType::Offer), now);
        let xid = client.xid;
        let mut nak = answer(&client, MessageType::Nak);
        nak.options.insert(code::MESSAGE, *b"lease expired\0");
        assert_eq!(
            client.on_message(&nak, now),
            [Action::Log(Refusal::Nak("lease expired".into()))]
        );
        assert_eq!(client.state, State::Selecting { tries: 0 });
        assert_ne!(client.xid, xid);
        assert_eq!(client.deadline(), now + seconds(1));
    }

    #[test]
    fn a_lease_is_renewed_at_its_server_after_half_its_time() {
        let start = Instant::now();
        let mut client = bound(start);
        assert_eq!(client.deadline(), start + seconds(1800));
        let now = client.deadline();
        assert_eq!(
            sent(&client.on_timeout(now)),
            [(MessageType::Request, Some(SERVER), ADDRESS)]
        );
        let actions = client.on_message(&answer(&client, MessageType::Ack), now);
        assert!(matches!(actions.as_slice(), [Action::Configure(_)]));
        assert_eq!(client.deadline(), now + seconds(1800));
    }

    #[test]
    fn a_silent_server_leads_to_everybody_and_then_to_the_leases_end() {
        let start = Instant::now();
        let mut client = bound(start);
        let mut destinations = Vec::new();
        loop {
            let now = client.deadline();
            let actions = client.on_timeout(now);
            if actions == [Action::Deconfigure] {
                assert_eq!(now, start + seconds(3600));
                break;
            }
            destinations.extend(sent(&actions).iter().map(|(_, to, _)| *to));
        }
        destinations.dedup();
        assert_eq!(destinations, [Some(SERVER), None]);
        assert_eq!(client.state, State::Selecting { tries: 0 });
    }

    #[test]
    fn a_refused_renewal_takes_the_address_away() {
        let start = Instant::now();
        let mut client = bound(start);
        let now = client.deadline();
        client.on_timeout(now);
        assert_eq!(
            client.on_message(&answer(&client, MessageType::Nak), now),
            [
                Action::Log(Refusal::Nak(String::new())),
                Action::Deconfigure
            ]
        );
    }

    #[test]
    fn messages_for_others_change_nothing() {
        let now = Instant::now();
        let mut client = client(now);
        client.on_timeout(now);
        let mut other_transaction = answer(&client, MessageType::Offer);
        other_transaction.xid = client.xid.wrapping_add(1);
        let mut other_machine = answer(&client, MessageType::Offer);
        other_machine.mac = [1; 6];
        let mut other_client = answer(&client, MessageType::Offer);
        other_client.operation = Operation::Request;
        let out_of_turn = answer(&client, MessageType::Ack);
        for message in [other_transaction, other_machine, other_client, out_of_turn] {
            assert_eq!(client.on_message(&message, now), []);
        }
        assert_eq!(client.state, State::Selecting { tries: 1 });
    }

    #[test]
    fn answers_of_no_use_are_logged_and_the_next_offer_is_taken() {
        let now = Instant::now();
        let mut client = client(now);
        client.on_timeout(now);
        let mut no_server = answer(&client, MessageType::Offer);
        no_server.options.insert(code::SERVER_IDENTIFIER, [1, 2]);
        let mut no_address = answer(&client, MessageType::Offer);
        no_address.your_address = Ipv4Addr::UNSPECIFIED;
        let mut bootp = answer(&client, MessageType::Offer);
        bootp.options.insert(code::MESSAGE_TYPE, []);
        for (message, reason, text) in [
            (
                no_server,
                Refusal::Unusable(Unusable::NoServer),
                "an answer was passed over: it does not say which server it is from (option 54)",
            ),
            (
                no_address,
                Refusal::Unusable(Unusable::Address(Ipv4Addr::UNSPECIFIED)),
                "an answer was passed over: the address 0.0.0.0 cannot be a host's",
            ),
            (
                bootp,
                Refusal::NotAnAnswer,
                "an answer was passed over: it has no message type that answers a request for an address",
            ),
        ] {
            assert_eq!(reason.to_string(), text);
            assert_eq!(client.on_message(&message, now), [Action::Log(reason)]);
        }
        assert_eq!(client.state, State::Selecting { tries: 1 });
        let offer = answer(&client, MessageType::Offer);
        assert_eq!(sent(&client.on_message(&offer, now)), [REQUEST]);
    }

    #[test]
    fn an_acknowledgement_of_no_use_is_logged_and_the_request_repeated() {
        let now = Instant::now();
        let mut client = client(now);
        client.on_timeout(now);
        client.on_message(&answer(&client, MessageType::Offer), now);
        let mut ack = answer(&client, MessageType::Ack);
        ack.your_address = Ipv4Addr::BROADCAST;
        let reason = Refusal::Unusable(Unusable::Address(Ipv4Addr::BROADCAST));
        assert_eq!(client.on_message(&ack, now), [Action::Log(reason)]);
        let offer = lease(&client);
        assert_eq!(client.state, State::Requesting { offer, tries: 1 });
    }
}
